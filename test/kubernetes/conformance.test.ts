import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import https from 'node:https'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { Duplex } from 'node:stream'
import { conformanceCases, type ConformanceClient, type ConformanceDriver, type Outcome } from '@sallyport/kit/conformance'
import { exitCode, openRemoteCommand, upgradeRequest, verifyUpgrade, type RemoteCommandClient } from '@sallyport/kubernetes-streams'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { eventually } from '../support/direct.js'
import { Cluster, hasKubectl, isRealCluster, target } from '../support/kubernetes.js'
import { pidOf, residentBytes } from '../support/ssh.js'

/** Commands run in a pod of the stand-in, which are processes of this machine: what they did can be seen. */
const possible = hasKubectl && !isRealCluster
const secret = '4111 1111 1111 1111'
let cluster: Cluster
const scripts = mkdtempSync(path.join(tmpdir(), 'sallyport-conformance-'))

function script(name: string, text: string): string {
  writeFileSync(path.join(scripts, name), `#!/bin/sh\n${text}\n`, { mode: 0o755 })
  return path.join(scripts, name)
}

const programs = {
  show: script('show', 'echo "$1"'),
  append: script('append', `echo "$2" >> ${scripts}/effects`),
  mask: script('mask', `echo "$1 ${secret} end"`),
  fail: script('fail', `echo "$1: bad value ${secret}" >&2; exit 3`),
  endless: script('endless', 'while :; do echo tick; sleep 0.2; done'),
  large: script('large', 'head -c 50000000 /dev/zero'),
}

beforeAll(async () => {
  if (!possible) return
  const allowed = [programs.show, programs.mask, programs.fail, programs.endless, programs.large].map((program) => `"${program} *"`).join(', ')
  cluster = await Cluster.start(
    [
      `{ allow: k8s.exec, on: "pods/NS/*", argv: [${allowed}] }`,
      `{ hold: k8s.exec, on: "pods/NS/*", argv: ["${programs.append} held *"], approvers: { groups: [dba] } }`,
    ],
    ['mask:', '  - { detect: [credit_card], with: redact }'],
  )
  // What V8 takes for young objects in the first large output would look like memory that is held for a client.
  const client = await driver.connect()
  const warm = await client.run(`${programs.large} warm`)
  if (!warm.ok) throw new Error(`the large command failed: ${warm.output.slice(0, 500)}`)
})

afterAll(async () => {
  await cluster?.stop()
  rmSync(scripts, { recursive: true, force: true })
})

/** One client: its requests show one token, so that they are one session. */
class KubernetesClient implements ConformanceClient {
  #command: RemoteCommandClient | undefined
  #socket: Duplex | undefined
  #output = ''
  #paused = false

  constructor(private readonly token: string) {}

  run(command: string): Promise<Outcome> {
    return this.start(command)
  }

  start(command: string): Promise<Outcome> {
    this.#output = ''
    const query = [...command.split(' ').map((word) => `command=${encodeURIComponent(word)}`), 'stdout=true', 'stderr=true'].join('&')
    const { gateway } = cluster.stack.line
    return new Promise((resolve, reject) => {
      const asked = upgradeRequest('remote-command', 'websocket', randomBytes)
      const request = https.get({
        host: 'localhost', port: gateway.httpsPort, ca: readFileSync(gateway.caFile), agent: false, path: `/k8s/${target}/api/v1/namespaces/${cluster.namespace}/pods/web/exec?${query}`,
        headers: { authorization: `Bearer ${this.token}`, ...asked.headers },
      })
      request.on('error', reject)
      request.on('response', (response) => {
        let text = ''
        response.on('data', (chunk) => (text += String(chunk)))
        response.on('end', () => resolve({ ok: false, output: text, code: String(response.statusCode) }))
      })
      request.on('upgrade', (response, socket, first) => {
        this.#socket = socket
        const upgrade = verifyUpgrade(asked, { status: 101, headers: response.headers })
        openRemoteCommand({ upgrade, duplex: socket, head: first }, { stdin: false, stdout: true, stderr: true, tty: false }).then(async (command) => {
          this.#command = command
          for (const stream of [command.stdout, command.stderr]) stream?.on('data', (bytes: Buffer) => (this.#output += bytes.toString()))
          await command.closed
          const status = await command.status.catch(() => undefined)
          const ok = status?.status === 'Success'
          resolve({ ok, output: this.#output + (status?.message ?? ''), ...(ok ? {} : { code: status === undefined ? 'closed' : String(exitCode(status) ?? status.reason) }) })
        }, reject)
        if (this.#paused) socket.pause()
      })
    })
  }

  told(): Promise<string> {
    return eventually(async () => (this.#output.includes('/approvals/') ? this.#output : undefined), 'a line on stderr')
  }

  async cancel(): Promise<void> {
    const command = await eventually(async () => this.#command, 'the connection is switched')
    command.abort()
  }

  stopReading(): void {
    this.#paused = true
    this.#socket?.pause()
  }

  async violate(): Promise<void> {
    // A frame with reserved bits, not masked.
    const socket = this.#socket ?? (await this.#opened())
    socket.write(Buffer.of(0xf3, 0x02, 1, 2))
  }

  async ended(): Promise<void> {
    const socket = this.#socket
    if (socket === undefined || socket.destroyed) return
    await new Promise<void>((resolve) => void socket.once('close', () => resolve()))
  }

  destroy(): void {
    this.#socket?.destroy()
  }

  async #opened(): Promise<Duplex> {
    void this.start(`${programs.endless} violation${randomBytes(4).toString('hex')}`)
    return eventually(async () => this.#socket, 'the connection is switched')
  }
}

const driver: ConformanceDriver = {
  protocol: 'kubernetes',
  secret,
  connect: async () => new KubernetesClient(await cluster.stack.mint({ nonce: randomBytes(8).toString('hex') })),
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
    const [command] = await cluster.stack.events(`kind=command&text=${marker}`)
    if (!command) return undefined
    const ends = await cluster.stack.events(`kind=command.end&session=${command.session}`)
    const pieces = await cluster.stack.events(`kind=recording&session=${command.session}`)
    const end = ends.find((event) => event.event.command === command.event.command)
    return { decision: command.decision, rule: command.rule, text: JSON.stringify([command, end, pieces]), ...(end ? { end: end.event.status, masked: end.event.masked } : {}) }
  },
  async spooled(marker) {
    const spool = path.join(cluster.stack.line.agents[0]?.dataDir ?? '', 'spool')
    return readdirSync(spool).filter((name) => name.endsWith('.spool')).some((name) => readFileSync(path.join(spool, name)).includes(marker))
  },
  pending: async (marker) => (await cluster.pending(marker)).id,
  async approve(approval) {
    const { status, body } = await cluster.stack.api('POST', `/v1/approvals/${approval}/approve`, {}, cluster.stack.token('dana'))
    if (status >= 300) throw new Error(JSON.stringify(body))
  },
  async reject(approval, reason) {
    await cluster.stack.api('POST', `/v1/approvals/${approval}/reject`, { reason }, cluster.stack.token('dana'))
  },
  async approvalState(approval) {
    return (await cluster.stack.api('GET', `/v1/approvals/${approval}`)).body.state
  },
  async killAgent() {
    process.kill(pidOf(cluster.stack, 'agent-0'), 'SIGKILL')
  },
  async restartAgent() {
    await cluster.stack.restart('agent-0')
    await eventually(async () => {
      const client = await driver.connect()
      return (await client.run(`${programs.show} again`)).ok
    }, 'a session can be opened', 30_000)
  },
  async chainProblem() {
    const { ok, first_bad: bad } = (await cluster.stack.api('GET', '/v1/audit/verify')).body
    return ok === true ? undefined : JSON.stringify(bad ?? 'no answer')
  },
  async memory() {
    return residentBytes([pidOf(cluster.stack, 'gateway-0'), pidOf(cluster.stack, 'agent-0')])
  },
}

describe.skipIf(!possible)('Kubernetes', () => {
  for (const one of conformanceCases(driver)) {
    if (one.excluded !== undefined) test.skip(`${one.name} (excluded: ${one.excluded})`, () => undefined)
    else test(one.name, () => one.run(driver))
  }
})
