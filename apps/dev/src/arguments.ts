import { resolve } from 'node:path'
import { parseArgs } from 'node:util'

export interface RunnerArguments {
  readonly command: 'start' | 'stack'
  readonly json: boolean
  readonly policyFile?: string
  readonly agents: number
  readonly gateways: number
  readonly portOffset: number
  readonly dataDirectory?: string
  readonly environment: Readonly<Record<string, string>>
  readonly help: boolean
}

export const usage = `npm start [-- options]            run everything in ./.sallyport on fixed ports, until Ctrl-C
npm run --silent stack -- --json  run everything in a temporary directory on free ports, until SIGTERM

  --json             print one JSON line when ready (stack); nothing else goes to stdout
  --policy FILE      use this file's policies instead of the demo's
  --agents N         so many agents (1)
  --gateways N       so many gateways (1)
  --data DIR         where data lies (start: ./.sallyport)
  --env NAME=VALUE   set in the environment of every process (repeatable; for trying limits)
  --port-offset N    add N to every fixed port (start)

With --json, lines on stdin control the stack: \`restart NAME\` (api, gateway-0, agent-0 …) starts a process again, on its
ports and data, and prints {"restarted": NAME, "pid": …}.
`

/** Throws with a sentence for the user. File names are relative to `calledFrom`. */
export function readArguments(argv: readonly string[], calledFrom: string): RunnerArguments {
  const [command, ...rest] = argv
  if (command !== 'start' && command !== 'stack') throw new Error(`unknown command ${command ?? '(none)'}: it is start or stack`)
  const { values } = parseArgs({
    args: rest,
    options: {
      json: { type: 'boolean', default: false },
      policy: { type: 'string' },
      agents: { type: 'string', default: '1' },
      gateways: { type: 'string', default: '1' },
      data: { type: 'string' },
      env: { type: 'string', multiple: true, default: [] },
      'port-offset': { type: 'string', default: '0' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  return {
    command,
    json: values.json,
    agents: whole('--agents', values.agents, 0, 20),
    gateways: whole('--gateways', values.gateways, 1, 20),
    portOffset: whole('--port-offset', values['port-offset'], 0, 40_000),
    help: values.help,
    environment: Object.fromEntries(values.env.map(assignment)),
    ...(values.policy === undefined ? {} : { policyFile: resolve(calledFrom, values.policy) }),
    ...(values.data === undefined ? {} : { dataDirectory: resolve(calledFrom, values.data) }),
  }
}

function assignment(text: string): [string, string] {
  const equals = text.indexOf('=')
  if (equals < 1) throw new Error(`--env wants NAME=VALUE, not '${text}'`)
  return [text.slice(0, equals), text.slice(equals + 1)]
}

function whole(name: string, value: string, least: number, most: number): number {
  const number = Number(value)
  if (!Number.isInteger(number) || number < least || number > most) throw new Error(`${name} wants a whole number from ${least} to ${most}, not '${value}'`)
  return number
}
