import { commandDigest, type Command } from '@sallyport/kit'
import { Injectable, Logger } from '@nestjs/common'
import { v7 as uuid } from 'uuid'
import type { Transaction } from '../audit/audit.repository.js'
import { EventsService } from '../audit/events.service.js'
import type { Session } from '../generated/prisma/client.js'
import { PseudonymsService } from '../privacy/pseudonyms.service.js'
import { effectOf } from './approval-item.js'
import { ApprovalOutbox } from './approval-outbox.js'
import { commandSchema, holdSchema, type HeldCommand, type HeldFor } from './approvals.dto.js'
import { ApprovalsConfig } from './approvals.config.js'
import { ApprovalsRepository } from './approvals.repository.js'
import { DecisionsService } from './decisions.service.js'
import { RememberedService } from './remembered.service.js'

const maxTimeoutSeconds = 24 * 3600
const maxCommandJson = 2 * 1024 * 1024
const maxHoldJson = 64 * 1024

export interface ApprovalAsked {
  readonly sessionId: string
  /** Ordinal of the command within the session, decimal. */
  readonly commandId: string
  /** Hex SHA-256, see kit's commandDigest. */
  readonly digest: string
  readonly commandJson: string
  readonly holdJson: string
}

class Refusal extends Error {
  override readonly name = 'Refusal'
  constructor(
    message: string,
    readonly code = 'APPROVAL_REQUEST_REFUSED',
    readonly hint?: string,
  ) {
    super(message)
  }
}

/** The agents' side of approvals: a held command asks, or gives up. */
@Injectable()
export class ApprovalsService {
  readonly #log = new Logger(ApprovalsService.name)

  constructor(
    private readonly repository: ApprovalsRepository,
    private readonly decisions: DecisionsService,
    private readonly outbox: ApprovalOutbox,
    private readonly events: EventsService,
    private readonly pseudonyms: PseudonymsService,
    private readonly remembered: RememberedService,
    private readonly config: ApprovalsConfig,
  ) {}

  /**
   * Stores a hold and answers the agent with held+jwt, or with a refused approval+jwt. Idempotent: asked again, it answers
   * again. Rejects only when the database fails; the agent then has no answer and denies.
   */
  async request(agentId: string, asked: ApprovalAsked): Promise<void> {
    try {
      const session = await this.#sessionOf(agentId, asked)
      const { command, hold } = parse(asked)
      if (!(await this.#digestAgrees(asked, session, command))) throw new Refusal('the digest is not that of the command shown to the reviewers')
      await this.#store(agentId, asked, session, command, hold)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.#log.warn({ message: 'approval request refused', agent_id: agentId, session_id: asked.sessionId.slice(0, 64), reason: error.message })
      await this.events.append({
        kind: 'alert',
        code: error.code,
        message: error.message,
        node: agentId,
        // Other refusals may be about a session that isn't the agent's.
        ...(error.code === 'HOLDS_EXCEEDED' ? { session: asked.sessionId } : {}),
        detail: { session: asked.sessionId.slice(0, 64), command: asked.commandId.slice(0, 64) },
      })
      await this.outbox.refused(agentId, asked, uuid(), error.message, error.hint)
    }
  }

  /** The command no longer waits: its client left, it was cancelled, or the agent's own time is over. */
  async cancel(agentId: string, sessionId: string, commandId: string, reason: string): Promise<void> {
    if (!isUuid(sessionId)) return
    const approval = await this.repository.findByCommand(sessionId, commandId)
    if (approval?.agentId !== agentId) return
    await this.decisions.cancel(approval.id, reason.slice(0, 200))
  }

  async #sessionOf(agentId: string, asked: ApprovalAsked): Promise<Session> {
    const session = isUuid(asked.sessionId) ? await this.repository.session(asked.sessionId) : null
    // One text for both: an agent learns nothing about sessions that aren't its own.
    if (session?.agentId !== agentId) throw new Refusal('the session is not known')
    if (session.endedAt !== null || session.killedAt !== null || session.expiresAt.getTime() <= Date.now()) throw new Refusal('the session has ended')
    return session
  }

  async #digestAgrees(asked: ApprovalAsked, session: Session, command: HeldCommand): Promise<boolean> {
    const full = fullOf(command)
    const ids = await this.repository.documentIds(session.target, session.identityKind, session.identity)
    const targets = [session.target, ...(ids.target === undefined ? [] : [ids.target])]
    const identities = [await this.pseudonyms.ofIdentity(session.identityKind, session.identity), session.identity, ...(ids.identity === undefined ? [] : [ids.identity])]
    return targets.some((target) => identities.some((identity) => commandDigest(full, { session: session.id, target, identity }) === asked.digest))
  }

  async #store(agentId: string, asked: ApprovalAsked, session: Session, command: HeldCommand, hold: HeldFor): Promise<void> {
    const id = uuid()
    const shown = hold.recorded ?? command
    const createdAt = new Date()
    const timeout = Math.min(hold.timeout_seconds, maxTimeoutSeconds)
    const expiresAt = new Date(Math.min(createdAt.getTime() + timeout * 1000, session.expiresAt.getTime()))
    const before = await this.repository.transaction(async (tx) => {
      await this.repository.lockIdentity(tx, session)
      const known = await this.repository.findByCommand(session.id, asked.commandId, tx)
      if (known) return known
      const { by: earlier, events } = await this.remembered.covering(tx, session, fullOf(command), hold.requirements)
      if (!earlier) await this.#keepBounds(tx, session)
      await this.repository.create(tx, {
        id,
        sessionId: session.id,
        agentId,
        command: asked.commandId,
        digest: asked.digest,
        text: command.text,
        parameters: command.parameters,
        effects: command.effects,
        facts: command.facts,
        requirements: hold.requirements,
        forgetParameters: hold.forget_parameters ?? false,
        recorded: hold.recorded,
        createdAt,
        expiresAt,
      })
      const reason = earlier && `covered by the approval ${earlier.remembered.approvalId}, which stands until ${earlier.remembered.expiresAt.toISOString()}`
      if (earlier && reason !== undefined) {
        await this.repository.rest(tx, id, earlier.remembered.approvalId)
        await this.repository.decide(tx, id, 'approved', reason, createdAt)
      }
      const of = { approval: id, session: session.id, command: asked.commandId, digest: asked.digest }
      await this.events.appendWithin(tx, [
        ...events,
        {
          kind: 'approval.requested',
          approval: id,
          session: session.id,
          command: asked.commandId,
          digest: asked.digest,
          text: shown.text.slice(0, 64 * 1024),
          ...(hold.recorded === undefined ? {} : { statement_excluded: hold.recorded.statement_excluded }),
          effects: shown.effects.map(effectOf),
          requirements: hold.requirements,
          expires_at: expiresAt.toISOString(),
        },
        ...(earlier && reason !== undefined
          ? [
              { kind: 'approval.reused' as const, ...of, rests_on: earlier.remembered.approvalId, scope: earlier.remembered.scope === 'session' ? ('session' as const) : ('command' as const), reviewers: earlier.reviewers },
              { kind: 'approval.decided' as const, ...of, verdict: 'approved' as const, reviewers: earlier.reviewers, reason },
            ]
          : []),
      ])
      return undefined
    })
    if (before) {
      if (before.digest !== asked.digest) throw new Refusal('another command asked under this number before')
      if (before.state === 'pending') await this.outbox.held(before)
      else await this.outbox.decided(before)
      return
    }
    const stored = await this.repository.find(id)
    if (!stored) return
    if (stored.state === 'pending') await this.outbox.held(stored)
    else await this.outbox.decided(stored)
    await this.outbox.changed(stored)
  }

  /** @throws {Refusal} so many wait already that people could not weigh one more */
  async #keepBounds(tx: Transaction, session: Session): Promise<void> {
    const open = await this.repository.openHolds(tx, session)
    const hint = 'Wait until a reviewer has decided some of them, or cancel what need not run; then run the command again.'
    const { openHolds, openHoldsPerSession } = this.config
    if (open.identity >= openHolds) throw new Refusal(`${session.identityKind} ${session.identity} has ${open.identity} commands waiting for approval already`, 'HOLDS_EXCEEDED', hint)
    if (open.session >= openHoldsPerSession) throw new Refusal(`the session has ${open.session} commands waiting for approval already`, 'HOLDS_EXCEEDED', hint)
  }
}

/** What the digest is over. */
function fullOf({ text, parameters, effects, facts }: HeldCommand): Command {
  return { text, effects: effects.map(effectOf), ...(parameters ? { parameters } : {}), ...(facts ? { facts } : {}) }
}

function parse(asked: ApprovalAsked): { command: HeldCommand; hold: HeldFor } {
  if (asked.commandJson.length > maxCommandJson || asked.holdJson.length > maxHoldJson) throw new Refusal('the command is too large to be approved')
  if (!/^[0-9a-f]{64}$/.test(asked.digest) || asked.commandId === '' || asked.commandId.length > 64) throw new Refusal('the request is malformed')
  const command = commandSchema.safeParse(tryJson(asked.commandJson))
  const hold = holdSchema.safeParse(tryJson(asked.holdJson))
  if (!command.success || !hold.success) throw new Refusal('the request is malformed')
  // PostgreSQL stores no NUL; a target takes none either.
  if (asked.commandJson.includes('\\u0000')) throw new Refusal('the command holds a NUL character')
  return { command: command.data, hold: hold.data }
}

function tryJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

const isUuid = (text: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)
