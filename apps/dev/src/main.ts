import { dirname, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { passableDirectory } from '@sallyport/embedded-postgres'
import { readArguments, usage, type RunnerArguments } from './arguments.js'
import { Resources } from './process/resources.js'
import { persistentDirectory } from './stack/data-directory.js'
import { describeStack } from './stack/description.js'
import { defaultPorts, freePorts, shiftPorts, type StackOptions } from './stack/options.js'
import { startStack, type Stack } from './stack/stack.js'
import { welcome, writeShortcuts } from './stack/welcome.js'

const root = process.env['SALLYPORT_ROOT'] ?? resolve(dirname(fileURLToPath(import.meta.url)), '..', '..', '..')

async function main(): Promise<void> {
  const given = readArguments(process.argv.slice(2), process.env['SALLYPORT_CALLED_FROM'] ?? process.cwd())
  if (given.help) {
    process.stdout.write(usage)
    return
  }
  const resources = new Resources()
  const leave = (code: number): void => {
    void resources.close().then(() => process.exit(code))
  }
  for (const name of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    process.on(name, () => {
      process.stderr.write('\nstopping ...\n')
      leave(0)
    })
  }
  // The reader of our JSON line may be gone by the time we write.
  process.stdout.on('error', () => leave(0))

  try {
    const stack = await startStack(stackOptions(given), resources)
    if (given.command === 'start') writeShortcuts(stack, root)
    if (given.json) {
      process.stdout.write(JSON.stringify(await describeStack(stack, root)) + '\n')
      obey(stack)
    } else {
      process.stdout.write(welcome(stack))
    }
  } catch (error) {
    process.stderr.write(`sallyport could not start: ${error instanceof Error ? error.message : String(error)}\n`)
    leave(1)
  }
}

function stackOptions(given: RunnerArguments): StackOptions {
  const shared = {
    root,
    agents: given.agents,
    gateways: given.gateways,
    environment: given.environment,
    say: (text: string) => process.stderr.write(`  ${text}\n`),
    ...(given.policyFile === undefined ? {} : { policyFile: given.policyFile }),
  }
  if (given.command === 'start') {
    const dataDirectory = given.dataDirectory ?? persistentDirectory(root, shared.say)
    return { ...shared, dataDirectory, temporary: false, ports: shiftPorts(defaultPorts, given.portOffset) }
  }
  const dataDirectory = given.dataDirectory ?? passableDirectory('sallyport-')
  // A directory that somebody named is theirs: only our own is removed.
  return { ...shared, dataDirectory, temporary: given.dataDirectory === undefined, ports: freePorts }
}

/** Commands from the harness' user: see {@link usage}. An end of stdin means nothing; the stack runs on. */
function obey(stack: Stack): void {
  // Reading from the terminal would stop a background job (SIGTTIN).
  if (process.stdin.isTTY) return
  createInterface({ input: process.stdin }).on('line', (line) => {
    const [verb, name = ''] = line.trim().split(/\s+/)
    if (verb !== 'restart') return
    stack.restart(name).then(
      (restarted) => process.stdout.write(JSON.stringify({ restarted: name, pid: restarted.pid }) + '\n'),
      (error: unknown) => process.stdout.write(JSON.stringify({ failed: name, error: error instanceof Error ? error.message : String(error) }) + '\n'),
    )
  })
}

await main()
