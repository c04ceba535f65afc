import { Injectable, type MessageEvent } from '@nestjs/common'
import { concatMap, filter, from, interval, map, merge, startWith, takeWhile, type Observable } from 'rxjs'
import { AccessService } from '../access/access.service.js'
import { DirectoryService } from '../access/directory.service.js'
import type { Principal } from '../access/principal.js'
import { notFound } from '../problem/problem.js'
import { approvalItem } from './approval-item.js'
import type { Session } from '../generated/prisma/client.js'
import { ApprovalOutbox } from './approval-outbox.js'
import type { ApprovalItem, ListQuery } from './approvals.dto.js'
import { ApprovalsRepository, type ApprovalWithVotes } from './approvals.repository.js'
import { concerns, overseesAll } from './oversight.js'
import { RememberedService } from './remembered.service.js'

const heartbeatMs = 15_000
/** An event without data keeps the connection alive, and no client's handler is called for it (HTML, 9.2.6). */
const noData = ''

/** What people see of approvals. A command's text may be confidential: it is shown to who is asked, who asked, and who oversees. */
@Injectable()
export class ReviewService {
  constructor(
    private readonly repository: ApprovalsRepository,
    private readonly access: AccessService,
    private readonly directory: DirectoryService,
    private readonly outbox: ApprovalOutbox,
    private readonly remembered: RememberedService,
  ) {}

  async list(query: ListQuery, user: Principal): Promise<{ items: ApprovalItem[]; next?: string }> {
    const limit = query.limit ?? 50
    const rows = await this.repository.list({
      state: query.state,
      session: query.session,
      before: query.cursor,
      limit: limit + 1,
      visibleTo: overseesAll(user) ? undefined : user,
    })
    const page = rows.slice(0, limit)
    const sessions = new Map((await this.repository.sessions(page.map((row) => row.sessionId))).map((session) => [session.id, session]))
    const items: ApprovalItem[] = []
    for (const row of page) {
      const session = sessions.get(row.sessionId)
      if (session) items.push(await this.#item(row, session))
    }
    const last = page.at(-1)
    return rows.length > limit && last ? { items, next: last.id } : { items }
  }

  /** @throws {Problem} 404, also when it exists and the user may not see it */
  async get(id: string, user: Principal): Promise<ApprovalItem> {
    const approval = await this.repository.find(id)
    const session = approval && (await this.repository.session(approval.sessionId))
    if (!approval || !session) throw notFound('such approval')
    if (!concerns(approval, session, user) && !overseesAll(user)) throw notFound('such approval')
    return this.#item(approval, session)
  }

  async #item(approval: ApprovalWithVotes, session: Session): Promise<ApprovalItem> {
    return approvalItem(approval, session, approval.state === 'pending' ? await this.remembered.offered(approval) : undefined)
  }

  /** Changes that the user may see, with heartbeats; ends when the token or the user no longer counts. */
  stream(user: Principal): Observable<MessageEvent> {
    const changes = this.outbox.changes.pipe(
      concatMap((change) => from(this.#sees(change.id, user)).pipe(map((sees) => ({ change, sees })))),
      filter(({ sees }) => sees),
      map(({ change }): MessageEvent => ({ type: change.comment === undefined ? 'approval' : 'comment', data: { ...change } })),
    )
    const heartbeats = interval(heartbeatMs).pipe(
      startWith(0),
      concatMap(() => from(this.access.isStillValid(user).catch(() => false))),
      map((active): MessageEvent => ({ type: active ? 'heartbeat' : 'end', data: noData })),
    )
    return merge(changes, heartbeats).pipe(takeWhile((event) => event.type !== 'end', true))
  }

  async #sees(id: string, user: Principal): Promise<boolean> {
    try {
      const person = await this.directory.find(user.user)
      if (!person || person.disabled) return false
      await this.get(id, { ...user, roles: person.roles, groups: person.groups })
      return true
    } catch {
      return false
    }
  }
}
