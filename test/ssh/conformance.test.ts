import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { conformanceCases, type ConformanceClient, type ConformanceDriver, type Outcome } from '@sallyport/kit/conformance'
import { msg, RawClient } from '@sallyport/protocol-ssh/testing'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { eventually } from '../support/direct.js'
import { hasSshd, pidOf, policyFor, residentBytes, SshHome } from '../support/ssh.js'
import { Stack } from '../support/stack.js'

const secret = '4111 1111 1111 1111'
let stack: Stack
let home: SshHome
const scripts = mkdtempSync(path.join(tmpdir(), 'sallyport-conformance-'))

/** A program of one word, so that a rule can name it. */
function script(name: string, text: string): string {
  writeFileSync(path.join(scripts, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 })
  return path.join(scripts, name)
}

const programs = {
  show: script('show', 'echo "$1"'),
  append: script('append', `echo "$1" >> ${scripts}/effects`),
  mask: script('mask', `echo "$1 ${secret} end"`),
  fail: script('fail', `echo "$1: bad value ${secret}" >&2; exit 3`),
  // It writes, or nothing would tell it that its client is gone.
  endless: script('endless', 'while :; do echo tick; sleep 0.2; done'),
  large: script('large', 'head -c 50000000 /dev/zero'),
}

beforeAll(async () => {
  if (!hasSshd) return
  const allowed = [programs.show, programs.mask, programs.fail, programs.endless, programs.large].map((program) => `"${program} *"`).join(', ')
  const policyFile = path.join(scripts, 'policy.yaml')
  writeFileSync(
    policyFile,
    policyFor(
      'web-01',
      [`{ allow: ssh.exec, argv: [${allowed}] }`, `{ hold: ssh.exec, argv: ["${programs.append} held *"], approvers: { groups: [dba] } }`],
      ['mask:', '  - { detect: [credit_card], with: redact }'],
    ),
  )
  script('append', `echo "$2" >> ${scripts}/effects`)
  stack = await Stack.start({ policyFile })
  home = await SshHome.create(stack)
})

afterAll(async () => {
  await stack?.stop()
  home?.remove()
  rmSync(scripts, { recursive: true, force: true })
})

/** One connection, on which commands run one after the other, each on a channel of its own: spoken by hand, so that it can also be broken. */
class SshClient implements ConformanceClient {
  #channel = 0
  #id = 0

  private constructor(private readonly raw: RawClient) {}

  static async connect(): Promise<SshClient> {
    const raw = await RawClient.connect(home.port)
    if ((await raw.logIn('web-01', home.key)) !== msg.userauthSuccess) throw new Error('the log-in was refused')
    return new SshClient(raw)
  }

  run(command: string): Promise<Outcome> {
    return this.start(command)
  }

  async start(command: string): Promise<Outcome> {
    this.#id += 1
    this.#channel = await this.raw.session({ id: this.#id })
    this.raw.exec(this.#channel, command)
    const { output, status } = await this.raw.finished(60_000)
    return { ok: status === 0, output, ...(status === 0 || status === undefined ? {} : { code: String(status) }) }
  }

  async told(): Promise<string> {
    return eventually(async () => this.raw.messages.find(([kind]) => kind === msg.channelExtendedData)?.subarray(13).toString(), 'a line on stderr')
  }

  async cancel(): Promise<void> {
    const close = Buffer.alloc(5, msg.channelClose)
    close.writeUInt32BE(this.#channel, 1)
    this.raw.send(close)
  }

  stopReading(): void {
    // After the channel has been opened.
    setTimeout(() => this.raw.socket.pause(), 500)
  }

  async violate(): Promise<void> {
    this.raw.send(Buffer.of(199))
  }

  async ended(): Promise<void> {
    await this.raw.ended(30_000)
  }

  destroy(): void {
    this.raw.destroy()
  }
}

const driver: ConformanceDriver = {
  protocol: 'ssh',
  secret,
  connect: () => SshClient.connect(),
  commands: {
    allowed: (marker) => `${programs.show} ${marker}`,
    denied: (marker) => `${programs.append} denied ${marker}`,
    held: (marker) => `${programs.append} held ${marker}`,
    masked: (marker) => `${programs.mask} ${marker}`,
    leakingError: (marker) => `${programs.fail} ${marker}`,
    endless: (marker) => `${programs.endless} ${marker}`,
    large: (marker) => `${programs.large} ${marker}`,
  },
  async effects(marker) {
    const file = path.join(scripts, 'effects')
    return existsSync(file) ? readFileSync(file, 'utf8').split(marker).length - 1 : 0
  },
  async running(marker) {
    return spawnSync('pgrep', ['-f', `${programs.endless} ${marker}$`]).status === 0
  },
  async recorded(marker) {
    const [command] = await stack.events(`kind=command&text=${marker}`)
    if (!command) return undefined
    const ends = await stack.events(`kind=command.end&session=${command.session}`)
    const pieces = await stack.events(`kind=recording&session=${command.session}`)
    const end = ends.find((event) => event.event.command === command.event.command)
    return {
      decision: command.decision,
      rule: command.rule,
      text: JSON.stringify([command, end, pieces]),
      ...(end ? { end: end.event.status, masked: end.event.masked } : {}),
    }
  },
  async spooled(marker) {
    const spool = path.join(stack.line.agents[0]?.dataDir ?? '', 'spool')
    return readdirSync(spool).filter((name) => name.endsWith('.spool')).some((name) => readFileSync(path.join(spool, name)).includes(marker))
  },
  pending: (marker) =>
    eventually(async () => {
      const { body } = await stack.api('GET', '/v1/approvals?state=pending')
      return body.items.find((item: { text: string }) => item.text.includes(marker))?.id as string | undefined
    }, 'a pending approval'),
  async approve(approval) {
    const { status, body } = await stack.api('POST', `/v1/approvals/${approval}/approve`, {}, stack.token('dana'))
    if (status >= 300) throw new Error(JSON.stringify(body))
  },
  async reject(approval, reason) {
    await stack.api('POST', `/v1/approvals/${approval}/reject`, { reason }, stack.token('dana'))
  },
  async approvalState(approval) {
    return (await stack.api('GET', `/v1/approvals/${approval}`)).body.state
  },
  async killAgent() {
    process.kill(pidOf(stack, 'agent-0'), 'SIGKILL')
  },
  async restartAgent() {
    await stack.restart('agent-0')
    await eventually(async () => (await home.ssh(`${programs.show} again`)).code === 0, 'a session can be opened', 30_000)
  },
  async chainProblem() {
    const { ok, first_bad: bad } = (await stack.api('GET', '/v1/audit/verify')).body
    return ok === true ? undefined : JSON.stringify(bad ?? 'no answer')
  },
  async memory() {
    return residentBytes([pidOf(stack, 'gateway-0'), pidOf(stack, 'agent-0')])
  },
}

describe.skipIf(!hasSshd)('SSH', () => {
  for (const one of conformanceCases(driver)) {
    if (one.excluded !== undefined) test.skip(`${one.name} (excluded: ${one.excluded})`, () => undefined)
    else test(one.name, () => one.run(driver))
  }
})
