import type { Hold } from '@sallyport/policy'
import type { Command } from './command.js'
import type { RecordedText } from './recorded-command.js'
import type { ApprovalDecisionPayload, HeldPayload } from './grant.js'

/** How the guard asks for people's approval. The agent's link to the control plane implements it. */
export interface ApprovalDesk {
  /**
   * Registers a hold. Both promises carry messages whose signature, agent and session were verified.
   * `held` and `decided` reject when the control plane can't be reached or is lost: the command is then denied.
   */
  request(request: ApprovalAsk): PendingApproval
}

export interface ApprovalAsk {
  readonly session: string
  /** Ordinal of the command. */
  readonly command: number
  readonly digest: string
  readonly content: Command
  /** What is bound to the command is shown to reviewers, and kept no longer than until they have decided. */
  readonly forgetParameters?: true
  /** All that may stay of the command once they have decided, and all that may stand in events. Absent: the command. */
  readonly recorded?: RecordedText
  readonly hold: Hold
}

export interface PendingApproval {
  readonly held: Promise<HeldPayload>
  readonly decided: Promise<ApprovalDecisionPayload>
  /** The command no longer waits (client gone, cancelled, time over). Idempotent. */
  cancel(reason: string): void
}
