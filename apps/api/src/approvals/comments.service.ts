import { Injectable } from '@nestjs/common'
import { v7 as uuid } from 'uuid'
import type { Principal } from '../access/principal.js'
import { EventsService } from '../audit/events.service.js'
import type { ApprovalComment } from '../generated/prisma/client.js'
import { forbidden, notFound, Problem } from '../problem/problem.js'
import { ApprovalOutbox } from './approval-outbox.js'
import { ApprovalsRepository } from './approvals.repository.js'
import { mayAct } from './oversight.js'
import { ReviewService } from './review.service.js'
import { visibleText } from './visible.js'

/** A talk longer than this belongs elsewhere; without a bound, whoever asks could fill reviewers' screens and the log. */
const maxComments = 200

/** What people say about approvals. Who may see one may speak; auditors only read. */
@Injectable()
export class CommentsService {
  constructor(
    private readonly repository: ApprovalsRepository,
    private readonly review: ReviewService,
    private readonly events: EventsService,
    private readonly outbox: ApprovalOutbox,
  ) {}

  /** @throws {Problem} 404 */
  async list(id: string, user: Principal) {
    await this.review.get(id, user)
    return (await this.repository.comments(id)).map(commentItem)
  }

  /** @throws {Problem} 404; 403 for an auditor; 409 when there are too many */
  async add(id: string, text: string, user: Principal) {
    await this.review.get(id, user)
    const comment = { id: uuid(), approvalId: id, user: user.user, text, createdAt: new Date() }
    const approval = await this.repository.transaction(async (tx) => {
      const locked = await this.repository.lock(tx, id)
      const session = locked && (await this.repository.session(locked.sessionId, tx))
      if (!locked || !session) throw notFound('such approval')
      if (!mayAct(locked, session, user)) throw forbidden('FORBIDDEN', 'An auditor changes nothing.')
      if ((await this.repository.countComments(tx, id)) >= maxComments) throw new Problem(409, 'TOO_MANY_COMMENTS', `An approval takes ${maxComments} comments.`)
      await this.repository.addComment(tx, comment)
      await this.events.appendWithin(tx, [{ kind: 'approval.commented', approval: id, session: locked.sessionId, command: locked.command, by: user.user, message: text }])
      return locked
    })
    await this.outbox.changed(approval, comment.id)
    return commentItem(comment)
  }
}

function commentItem({ id, user, text, createdAt }: ApprovalComment) {
  return { id, user, text, text_visible: visibleText(text), at: createdAt.toISOString() }
}
