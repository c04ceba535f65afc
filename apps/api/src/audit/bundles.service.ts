import { Injectable } from '@nestjs/common'
import { ModuleRef } from '@nestjs/core'
import { bundleFormat, controlDigest, statementType, type BundleStatement } from '@sallyport/audit-log'
import { KeysService } from '../keys/keys.service.js'
import { conflict, notFound } from '../problem/problem.js'
import { AuditRepository } from './audit.repository.js'
import { eventPart } from './prepare.js'
import { VerifyService } from './verify.service.js'

const pageSize = 500

/** A session's records for somebody who has nothing but the control plane's published keys. */
@Injectable()
export class BundlesService {
  constructor(
    private readonly repository: AuditRepository,
    private readonly verifier: VerifyService,
    private readonly modules: ModuleRef,
  ) {}

  /**
   * Lines of the bundle, each with its newline. What the session shows while it is read isn't part of it.
   * @throws {Problem} 404 when nobody knows the agent any more; 409 when the log isn't whole: what was changed must not get a
   * signature
   */
  async ofSession(session: string, agentId: string): Promise<AsyncIterable<string>> {
    const { first_bad: bad } = await this.verifier.verify()
    if (bad !== undefined) throw conflict('AUDIT_BROKEN', `The audit log is broken at position ${bad.position}: ${bad.problem}. Nothing of it is vouched for.`)
    const agent = `agent:${agentId}`
    const publicKey = (await this.repository.agentKeys()).get(agent)
    if (publicKey === undefined) throw notFound('agent that recorded this session')
    const control = await this.repository.controlBodies(session)
    const statement: BundleStatement = { session, agent, public_key: Buffer.from(publicKey).toString('base64'), control_sha256: controlDigest(control), iat: Math.floor(Date.now() / 1000) }
    const signed = await this.modules.get(KeysService, { strict: false }).sign(statementType, statement)
    return this.#lines(session, agent, signed, control)
  }

  async *#lines(session: string, agent: string, statement: string, control: readonly string[]): AsyncIterable<string> {
    yield `${JSON.stringify({ format: bundleFormat, session, statement })}\n`
    for (const body of control) yield `${JSON.stringify({ control: body })}\n`
    for (let after = 0n; ; ) {
      const rows = await this.repository.recordsOf(session, agent, after, pageSize)
      for (const { body } of rows) yield `${JSON.stringify({ record: eventPart(body) })}\n`
      const last = rows.at(-1)
      if (last === undefined || rows.length < pageSize) return
      after = last.position
    }
  }
}
