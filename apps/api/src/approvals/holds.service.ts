import { Injectable, type MessageEvent } from '@nestjs/common'
import { ModuleRef } from '@nestjs/core'
import { concatMap, filter, from, interval, map, merge, mergeMap, startWith, takeWhile, type Observable } from 'rxjs'
import { HttpConfig } from '../config/http.config.js'
import { CredentialsService } from '../credentials/credentials.service.js'
import { requirementsOf } from './approval-item.js'
import { ApprovalOutbox } from './approval-outbox.js'
import { ApprovalsRepository, type ApprovalWithVotes } from './approvals.repository.js'

const heartbeatMs = 15_000
const shownText = 200

/** What holds up the commands of one credential, for whoever runs them: most clients say nothing while they wait. */
@Injectable()
export class HoldsService {
  constructor(
    private readonly repository: ApprovalsRepository,
    private readonly outbox: ApprovalOutbox,
    private readonly modules: ModuleRef,
  ) {}

  /** Whether the secret is this credential's. An unknown credential looks like a wrong secret. */
  async proves(id: string, secret: string): Promise<boolean> {
    const credentials = this.modules.get(CredentialsService, { strict: false })
    const row = await credentials.find(id)
    return row !== null && credentials.holdsSecret(row, secret)
  }

  /** What waits now, then every change; ends with the credential. */
  stream(credential: string): Observable<MessageEvent> {
    const now = from(this.repository.pendingOfCredential(credential)).pipe(mergeMap((approvals) => approvals))
    const later = this.outbox.changes.pipe(
      concatMap(async ({ id, session_id: session }) => ((await this.repository.session(session))?.credentialId === credential ? this.repository.find(id) : null)),
      filter((approval) => approval !== null),
    )
    const alive = interval(heartbeatMs).pipe(
      startWith(0),
      concatMap(() => from(this.#isLive(credential))),
      map((live): MessageEvent => ({ type: live ? 'heartbeat' : 'end', data: '' })),
    )
    const holds = merge(later, now).pipe(map((approval): MessageEvent => ({ type: 'hold', data: this.#shown(approval) })))
    return merge(holds, alive).pipe(takeWhile((event) => event.type !== 'end', true))
  }

  async #isLive(credential: string): Promise<boolean> {
    const row = await this.modules.get(CredentialsService, { strict: false }).find(credential)
    return row !== null && row.revokedAt === null
  }

  #shown(approval: ApprovalWithVotes): object {
    return {
      approval: approval.id,
      state: approval.state,
      url: `${this.modules.get(HttpConfig, { strict: false }).publicUrl}/approvals/${approval.id}`,
      groups: [...new Set(requirementsOf(approval).flatMap((requirement) => requirement.groups))],
      expires_at: approval.expiresAt.toISOString(),
      text: (approval.text.split('\n', 1)[0] ?? '').slice(0, shownText),
      ...(approval.reason === null ? {} : { reason: approval.reason }),
      reviewers: approval.votes.map(({ user }) => user),
    }
  }
}
