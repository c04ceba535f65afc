import { Injectable, Logger, type OnApplicationBootstrap, type OnApplicationShutdown } from '@nestjs/common'
import { ModuleRef } from '@nestjs/core'
import { SessionVerifier, type BadRecord, type SessionCounts } from '@sallyport/audit-log'
import { compactVerify, importJWK } from 'jose'
import { z } from 'zod'
import { KeysService } from '../keys/keys.service.js'
import { AuditRepository } from './audit.repository.js'
import { eventPart } from './prepare.js'
import { ChainVerifier } from './verify.js'

export interface Verification {
  readonly ok: boolean
  readonly checked: number
  /** Sessions by how their agent vouches for them. */
  readonly sessions: SessionCounts
  /** End of what was checked. Keep it: a later run must contain it. */
  readonly head: { readonly position: string; readonly hash: string }
  readonly first_bad?: BadRecord
}

const pageSize = 2000
const checkpointType = 'checkpoint+jwt'
const checkpointEveryMs = 10_000

const checkpointSchema = z.object({ position: z.string(), hash: z.string() })
const bundleSchema = z.object({ keys: z.array(z.looseObject({ kty: z.string() })) })

/** Verifies the chain, and writes signed checkpoints against which a cut-off end shows. */
@Injectable()
export class VerifyService implements OnApplicationBootstrap, OnApplicationShutdown {
  readonly #log = new Logger(VerifyService.name)
  #timer: NodeJS.Timeout | undefined
  /** What this process signed last. Whoever can delete records can delete the checkpoints of them, but not this. */
  #signed: { readonly position: bigint; readonly hash: Uint8Array } | undefined
  #running: Promise<Verification> | undefined

  constructor(
    private readonly repository: AuditRepository,
    private readonly modules: ModuleRef,
  ) {}

  onApplicationBootstrap(): void {
    this.#timer = setInterval(() => {
      this.checkpoint().catch((error: unknown) => this.#log.warn({ message: 'checkpoint failed', error: error instanceof Error ? error.name : '' }))
    }, checkpointEveryMs)
    this.#timer.unref()
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.#timer)
    await this.checkpoint().catch(() => undefined)
  }

  /** Signs the chain's present end, if it moved since the last time. */
  async checkpoint(): Promise<void> {
    const head = await this.repository.head()
    if (!head || head.position === 0n || head.position === this.#signed?.position) return
    if (!(await this.#continues(head.position))) {
      this.#log.error({ message: 'the audit chain no longer holds what was signed before: no checkpoint is written, see `sallyport audit verify`' })
      return
    }
    const payload = { position: String(head.position), hash: Buffer.from(head.hash).toString('hex'), iat: Math.floor(Date.now() / 1000) }
    const jws = await this.modules.get(KeysService, { strict: false }).sign(checkpointType, payload)
    await this.repository.saveCheckpoint(head.position, head.hash, jws)
    this.#signed = { position: head.position, hash: head.hash }
  }

  /** Whether the record that was signed last is still in its place: a rewritten chain must not get a signature. */
  async #continues(headPosition: bigint): Promise<boolean> {
    const signed = this.#signed
    if (!signed) return true
    if (headPosition < signed.position) return false
    const [row] = await this.repository.page(signed.position - 1n, 1)
    return row?.position === signed.position && Buffer.compare(row.hash, signed.hash) === 0
  }

  /** Reads the whole chain in order. Bounded memory; takes about as long as reading the table. Callers at the same time share one run. */
  verify(): Promise<Verification> {
    this.#running ??= this.#verify().finally(() => (this.#running = undefined))
    return this.#running
  }

  async #verify(): Promise<Verification> {
    const ends = await this.repository.ends()
    const checkpoints = new Map((await this.repository.checkpoints()).map((c) => [c.position, c]))
    const signed = this.#signed
    const keys = await this.#keys()
    const verifier = new ChainVerifier()
    const sessions = new SessionVerifier(await this.repository.agentKeys())
    const report = (bad?: BadRecord): Verification => ({
      ok: bad === undefined,
      checked: verifier.checked,
      sessions: sessions.finish(Date.now()).counts,
      head: { position: String(verifier.head.position), hash: Buffer.from(verifier.head.hash).toString('hex') },
      ...(bad ? { first_bad: bad } : {}),
    })
    for (;;) {
      const rows = await this.repository.page(verifier.head.position, pageSize)
      for (const row of rows) {
        const bad = verifier.check(row)
        if (bad) return report(await this.#explain(bad, row))
        const broken = sessions.check({ position: row.position, source: row.source, kind: row.kind, session: row.sessionId, seq: row.sourceSeq, text: eventPart(row.body) })
        if (broken) return report(broken)
        const checkpoint = checkpoints.get(row.position)
        if (checkpoint && !(await agrees(checkpoint, row.hash, keys))) {
          return report({ position: String(row.position), problem: 'changed: the signed checkpoint of this position has another hash; the chain was rewritten' })
        }
        if (row.position === signed?.position && Buffer.compare(row.hash, signed.hash) !== 0) {
          return report({ position: String(row.position), problem: 'changed: this control plane has signed another hash at this position; the chain was rewritten' })
        }
        if (row.position === ends.head?.position && Buffer.compare(row.hash, ends.head.hash) !== 0) {
          return report({ position: String(row.position), problem: 'changed: the last record is not the one that the head names' })
        }
      }
      if (rows.length < pageSize) break
    }
    if (!ends.head && verifier.checked > 0) {
      return report({ position: String(verifier.head.position), problem: 'truncated: the row that names the end of the chain is not there' })
    }
    return report(truncation(verifier.head.position, ends, [...checkpoints.keys(), ...(signed ? [signed.position] : [])]) ?? sessions.finish(Date.now()).bad)
  }

  /** A forked record may be one that was moved from far away. */
  async #explain(bad: BadRecord, row: { prevHash: Uint8Array }): Promise<BadRecord> {
    if (!bad.problem.startsWith('forked')) return bad
    const predecessor = await this.repository.positionOfHash(row.prevHash)
    if (predecessor === undefined) return bad
    return { ...bad, problem: `${bad.problem}; the record it does continue stands at ${predecessor}` }
  }

  /** The control plane's public keys (JWK). */
  async publicKeys(): Promise<z.infer<typeof bundleSchema>['keys']> {
    const { json } = await this.modules.get(KeysService, { strict: false }).trustBundle()
    return bundleSchema.parse(JSON.parse(json)).keys
  }

  async #keys(): Promise<VerifyKey[]> {
    return Promise.all((await this.publicKeys()).map((jwk) => importJWK(jwk, 'EdDSA')))
  }
}

type VerifyKey = Awaited<ReturnType<typeof importJWK>>

/** Whether a checkpoint is signed by one of the keys and names this hash. */
async function agrees(checkpoint: { position: bigint; hash: Uint8Array; jws: string }, hash: Uint8Array, keys: readonly VerifyKey[]): Promise<boolean> {
  if (Buffer.compare(checkpoint.hash, hash) !== 0) return false
  for (const key of keys) {
    try {
      const { payload, protectedHeader } = await compactVerify(checkpoint.jws, key, { algorithms: ['EdDSA', 'Ed25519'] })
      const claims = checkpointSchema.parse(JSON.parse(Buffer.from(payload).toString('utf8')))
      return protectedHeader.typ === checkpointType && claims.position === String(checkpoint.position) && claims.hash === Buffer.from(hash).toString('hex')
    } catch {
      continue
    }
  }
  return false
}

/** Records cut off at the end leave a chain that verifies: the head row, the checkpoints and the agents' counters remember them. */
export function truncation(
  last: bigint,
  ends: { head: { position: bigint } | undefined; sources: readonly { source: string; seq: bigint }[]; nodes: readonly { id: string; acked: bigint }[] },
  checkpoints: readonly bigint[],
): BadRecord | undefined {
  const position = String(last + 1n)
  const promised = checkpoints.reduce((a, b) => (b > a ? b : a), ends.head?.position ?? 0n)
  if (promised > last) return { position, problem: `truncated: the chain once reached position ${promised}` }
  const stored = new Map(ends.sources.map((s) => [s.source, s.seq]))
  for (const node of ends.nodes) {
    const seq = stored.get(`agent:${node.id}`) ?? 0n
    if (node.acked > seq) return { position, problem: `truncated: record ${node.acked} of agent ${node.id} was acknowledged and is not there` }
  }
  return undefined
}
