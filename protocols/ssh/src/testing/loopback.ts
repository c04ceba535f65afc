import { generateKeyPairSync } from 'node:crypto'
import { readFileSync } from 'node:fs'
import net from 'node:net'
import { jwsType, Secret, SessionGuard, SpoolError, verifyGrant, type AgentEventBody, type ApprovalAsk, type ApprovalDecisionPayload, type FrontContext, type HeldPayload, type PublicKeyProof, type SessionEnd, type SessionStart } from '@sallyport/kit'
import type { Mask, Rule, SessionTerms } from '@sallyport/policy'
import { generateKeyPair } from '@sallyport/ssh-keys'
import { CompactSign } from 'jose'
import { sshDescriptor } from '../analyse/index.js'
import { createSshEngine } from '../engine/index.js'
import { sshFront } from '../front/index.js'
import { channelPair } from './channel-pair.js'

const controlKeys = generateKeyPairSync('ed25519')
const agent = 'agent-1'

export interface LoopbackOptions {
  readonly spec: unknown
  readonly rules: readonly Rule[]
  readonly masks?: readonly Mask[]
  readonly terms?: Partial<SessionTerms>
  readonly authenticate?: (start: SessionStart, proof: PublicKeyProof | undefined, password: string | undefined) => boolean
}

/**
 * Front and engine in one process, with the guard between and no gateway, agent or control plane: for tests of the
 * protocol itself with real clients and a real sshd.
 */
export class Loopback {
  readonly hostKey = generateKeyPair('gateway')
  readonly events: AgentEventBody[] = []
  /** Payloads of recorded pieces, by their event. */
  readonly payloads = new Map<AgentEventBody, Buffer>()
  readonly ends: SessionEnd[] = []
  readonly asked: ApprovalAsk[] = []
  readonly proofs: PublicKeyProof[] = []
  /** Ends every live session. */
  readonly controllers = new Set<AbortController>()
  decide: (ask: ApprovalAsk) => 'approved' | 'rejected' | undefined = () => undefined
  /** When a record is durable in the control plane: what strict sessions wait for. */
  durable: (event: AgentEventBody | undefined) => Promise<void> = () => Promise.resolve()
  /** The spool takes no recordings any more. */
  spoolFull = false
  port = 0
  #server: net.Server | undefined
  #sessions = 0

  constructor(readonly options: LoopbackOptions) {}

  async start(): Promise<void> {
    const engine = await createSshEngine()
    const server = net.createServer((socket) => sshFront.handle(socket, this.#context(engine)))
    this.#server = server
    await new Promise<void>((resolve) => {
      server.listen(0, '127.0.0.1', resolve)
    })
    const address = server.address()
    this.port = typeof address === 'object' && address !== null ? address.port : 0
  }

  async stop(): Promise<void> {
    for (const controller of this.controllers) controller.abort({ reason: 'killed' })
    await new Promise((resolve) => this.#server?.close(resolve))
  }

  commands(): AgentEventBody[] {
    return this.events.filter((event) => event.kind === 'command')
  }

  #context(engine: Awaited<ReturnType<typeof createSshEngine>>): FrontContext {
    return {
      tls: undefined,
      hostKeys: [this.hostKey.privateKeyPem],
      limits: { handshakeMilliseconds: 20_000, maxStartupBytes: 10_000 },
      log: { info: () => undefined, warn: () => undefined },
      authenticated: () => undefined,
      refused: () => undefined,
      broker: {
        authenticate: (start) => this.#authenticate(start),
        open: async (granted, parameters) => {
          const [near, far] = channelPair()
          void this.#serve(engine, far, granted.grant, parameters)
          return { sessionId: granted.sessionId, channel: near, signal: () => undefined }
        },
        registerCancel: () => () => undefined,
        cancel: () => undefined,
      },
    }
  }

  #authenticate(start: SessionStart) {
    let proof: PublicKeyProof | undefined
    let password: string | undefined
    let asked = false
    return {
      next: async () => {
        if (!start.proofFollows && !asked) {
          asked = true
          return { kind: 'password' as const }
        }
        const allowed = this.options.authenticate?.(start, proof, password) ?? true
        if (!allowed) return { kind: 'refused' as const, error: { code: 'AUTHENTICATION_FAILED', message: 'the key is not known', hint: 'Use another.' } }
        const sid = `0197a1b2-0000-7000-8000-${String(++this.#sessions).padStart(12, '0')}`
        return { kind: 'granted' as const, granted: { sessionId: sid, agentId: agent, grant: await this.#grant(sid, start), saslFinal: Buffer.alloc(0), proofExpires: Infinity } }
      },
      password: (value: Uint8Array) => {
        password = Buffer.from(value).toString()
      },
      publicKey: (value: PublicKeyProof) => {
        proof = value
        this.proofs.push(value)
      },
      saslInitial: () => undefined,
      saslResponse: () => undefined,
      abort: () => undefined,
    }
  }

  async #grant(sid: string, start: SessionStart): Promise<string> {
    const now = Math.floor(Date.now() / 1000)
    const spec = sshDescriptor.resolveSession?.(sshDescriptor.parseTargetSpec(this.options.spec), start.parameters) ?? {}
    const payload = {
      v: 1,
      sid,
      version: 1,
      agent,
      iat: now,
      exp: now + 600,
      lease: now + 300,
      identity: { kind: 'workload', id: 'w', name: 'shop-ci', groups: [], claims: {} },
      target: { id: 't', name: 'web-01', protocol: 'ssh', labels: {}, spec },
      rules: this.options.rules,
      masks: this.options.masks ?? [],
      terms: { ttl_seconds: 600, idle_seconds: 300, audit: 'spooled', record_result_bytes: 8192, record_terminal_bytes: 1_048_576, record_input: false, record_parameters: true, ...this.options.terms },
      approval_url: 'https://s/approvals/',
    }
    return new CompactSign(Buffer.from(JSON.stringify(payload))).setProtectedHeader({ alg: 'EdDSA', typ: jwsType.grant, kid: 'k' }).sign(controlKeys.privateKey)
  }

  async #serve(engine: Awaited<ReturnType<typeof createSshEngine>>, client: ReturnType<typeof channelPair>[1], jws: string, parameters: Readonly<Record<string, string>>): Promise<void> {
    const grant = await verifyGrant(jws, new Map([['k', controlKeys.publicKey]]), agent, Date.now() / 1000)
    const controller = new AbortController()
    this.controllers.add(controller)
    const append = (event: AgentEventBody, payload?: Buffer) => {
      if (this.spoolFull && event.kind === 'recording') throw new SpoolError('full', 'the audit spool is full')
      this.events.push(event)
      if (payload !== undefined) this.payloads.set(event, payload)
      return { seq: this.events.length } as never
    }
    const guard = new SessionGuard({
      grant,
      actions: sshDescriptor.actions,
      spool: { append, appendClosing: append, durable: ({ seq }) => this.durable(this.events[seq - 1]), room: () => Promise.resolve(), overdue: false, backlogMilliseconds: 0 },
      approvals: { request: (ask) => this.#ask(ask) },
      signal: controller.signal,
    })
    const log = { debug: () => undefined, info: () => undefined, warn: (fields: unknown, text: string) => void process.stderr.write(`${text} ${JSON.stringify(fields)}\n`) }
    const credentials = { resolve: (reference: string) => Promise.resolve(new Secret(readFileSync(reference.slice('file:'.length), 'utf8'))) }
    const end = await engine.serve({ grant, parameters, client, guard, credentials, signal: controller.signal, onSignal: () => undefined, log })
    this.controllers.delete(controller)
    this.ends.push(end)
  }

  #ask(ask: ApprovalAsk) {
    this.asked.push(ask)
    const exp = Math.floor(Date.now() / 1000) + 60
    const about = { agent, sid: ask.session, command: String(ask.command), approval: `a${this.asked.length}`, digest: ask.digest }
    const held: Promise<HeldPayload> = Promise.resolve({ ...about, groups: ['dba'], exp })
    const verdict = this.decide(ask)
    const decided: Promise<ApprovalDecisionPayload> =
      verdict === undefined ? new Promise(() => undefined) : held.then(() => ({ ...about, verdict, reason: 'because', reviewers: ['dana'], iat: exp - 60, exp }))
    return { held, decided, cancel: () => undefined }
  }
}
