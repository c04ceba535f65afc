import { Injectable } from '@nestjs/common'
import { v7 as uuid } from 'uuid'
import { DirectoryService } from '../access/directory.service.js'
import type { Principal } from '../access/principal.js'
import { EventsService } from '../audit/events.service.js'
import { DocumentsService } from '../documents/documents.service.js'
import { NodesRepository } from '../nodes/nodes.repository.js'
import { conflict, forbidden, notFound } from '../problem/problem.js'
import { SessionsService, type SessionSelection } from '../sessions/sessions.service.js'
import { LocksRepository, type Locked, type LockKind, type LockRow } from './locks.repository.js'

export interface LockRequest extends Locked {
  readonly reason: string
  readonly ttlSeconds?: number | undefined
}

/** Shuts identities, targets and agents out for a while, or until somebody lets them in again. */
@Injectable()
export class LocksService {
  constructor(
    private readonly repository: LocksRepository,
    private readonly events: EventsService,
    private readonly documents: DocumentsService,
    private readonly directory: DirectoryService,
    private readonly nodes: NodesRepository,
    private readonly sessions: SessionsService,
  ) {}

  /**
   * Locks, and ends the live sessions within two seconds. From the moment the lock is committed no session can be opened:
   * those that were being opened look for locks once more at their end.
   * @throws {Problem} 404 for a name that doesn't exist (a typing mistake must not look like safety), 403, 409 for oneself
   */
  async lock(request: LockRequest, by: Principal): Promise<LockRow> {
    const { kind, name, reason, ttlSeconds } = request
    const selection = await this.#selection(request)
    if (kind === 'user' && name === by.user) throw conflict('LOCKS_YOURSELF', 'You can not lock yourself.', 'Ask another administrator, or sign out.')
    await this.#mayTouch(request, by)
    const createdAt = new Date()
    const expiresAt = ttlSeconds === undefined ? null : new Date(createdAt.getTime() + ttlSeconds * 1000)
    const row: LockRow = { id: uuid(), kind, name, reason, createdBy: by.user, createdAt, expiresAt, releasedBy: null, releasedAt: null }
    await this.repository.transaction(async (tx) => {
      await this.repository.create(tx, row)
      await this.events.appendWithin(tx, [{ kind: 'lock.created', ...described(row), by: by.user, reason, ...(expiresAt ? { expires_at: expiresAt.toISOString() } : {}) }])
    })
    // Why is for those who may see locks: who is locked out might be the attacker.
    await this.sessions.killWhere(selection, `the ${kind} ${name} was locked`, by.user)
    return row
  }

  /** @throws {Problem} 404, 403, 409 when it was released already */
  async release(id: string, reason: string, by: Principal): Promise<void> {
    const row = await this.repository.find(id)
    if (!row) throw notFound('such lock')
    const locked = { kind: kindOf(row), name: row.name }
    await this.#mayTouch(locked, by)
    await this.repository.transaction(async (tx) => {
      if (!(await this.repository.release(tx, id, by.user, new Date()))) throw conflict('LOCK_RELEASED', 'The lock was released already.')
      await this.events.appendWithin(tx, [{ kind: 'lock.released', ...described(row), by: by.user, reason }])
    })
  }

  async #selection({ kind, name }: Locked): Promise<SessionSelection> {
    switch (kind) {
      case 'user':
        if (!(await this.directory.find(name))) throw notFound(`user ${name}`)
        return { identity: { kind, name } }
      case 'workload':
        if (!(await this.documents.get('Workload', name))) throw notFound(`workload ${name}`)
        return { identity: { kind, name } }
      case 'target':
        if (!(await this.documents.get('Target', name))) throw notFound(`target ${name}`)
        return { target: name }
      case 'agent': {
        const node = await this.nodes.byName(name)
        if (node?.kind !== 'agent') throw notFound(`agent ${name}`)
        return { agentId: node.id }
      }
    }
  }

  /** Operators are stopped by administrators, not the other way round. */
  async #mayTouch({ kind, name }: Locked, by: Principal): Promise<void> {
    if (kind !== 'user' || by.roles.includes('admin')) return
    if ((await this.directory.find(name))?.roles.includes('admin') === true) throw forbidden('FORBIDDEN', `${name} is an administrator: only administrators lock and unlock them.`, 'Ask an administrator.')
    if (name === by.user) throw forbidden('FORBIDDEN', 'Somebody else must unlock you.', 'Ask an administrator.')
  }
}

export const kindOf = (row: { readonly kind: string }): LockKind => (row.kind === 'user' || row.kind === 'workload' || row.kind === 'target' ? row.kind : 'agent')

/** A person's name stands where it is exchanged for a pseudonym. */
function described(row: LockRow) {
  const kind = kindOf(row)
  const lock = { lock: row.id, locked: kind }
  switch (kind) {
    case 'user':
    case 'workload':
      return { ...lock, identity: { kind, name: row.name } }
    case 'target':
      return { ...lock, target: row.name }
    case 'agent':
      return { ...lock, agent: row.name }
  }
}
