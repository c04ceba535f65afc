import type { CompiledMasks, Decision } from '@sallyport/policy'
import type { Command } from './command.js'
import type { CommandEndEvent, RecordedChunk, RecordingEvent, ResultPreview } from './event.js'
import type { Clearance, Permit } from './permit.js'

/**
 * The security sequence, once: decide → record → (hold) → permit. An engine submits a command and sends nothing of it
 * to the target until it holds a {@link Permit}.
 */
export interface Guard {
  /**
   * Answers at once when it can (an allowed or denied command in a spooled session), else with a promise (a hold, or a
   * strict session waiting for the control plane). Never rejects: every failure is a {@link Denial}.
   */
  submit(command: Command, options?: SubmitOptions): Permit | Denial | Promise<Permit | Denial>
  /**
   * Whether a command may be shown to the target for parsing, without being run. A denied one is recorded; an allowed
   * or held one isn't yet: that happens when it is submitted.
   */
  clear(command: Command): Clearance | Denial
  /** Records and denies a command that could not even be analysed. */
  refuse(command: Command, refusal: Refusal): Denial
  /**
   * Records a piece of what a permitted command shows. Write through a {@link Recorder}, which gathers and caps.
   * @throws {SpoolError} when it can't be recorded; the session must then end, because nothing goes on unrecorded
   */
  record(permit: Permit, piece: RecordedPiece): void
  /** Records the end of a permitted command. In a strict session, resolves once it is durable; else undefined. */
  finish(permit: Permit, result: CommandResult): Promise<void> | undefined
  /** Whether what was permitted earlier is still permitted now (grants may change under a live session). */
  recheck(command: Command): Decision
  /**
   * For a permit that is used later than it was given (a portal, executed or gone on with): what the policy of now says against it, on
   * record; undefined when it still stands.
   */
  stands(permit: Permit): Denial | undefined
  /** Bumped with every grant update. */
  readonly grantVersion: number
  /** The masks of the current grant. */
  readonly masks: CompiledMasks
  /** Bytes of masked result kept per command for replay; 0 records none. */
  readonly recordResultBytes: number
  /** Bytes of recording kept per command with a terminal; 0 records none. */
  readonly recordTerminalBytes: number
  /** Whether what is typed at a terminal is recorded. */
  readonly recordInput: boolean
}

/** Why a command is denied before any rule was asked: it can't be parsed, resolved, or speaks of a guarded setting. */
export interface Refusal {
  readonly rule: string
  readonly message: string
  readonly hint: string
}

export interface SubmitOptions {
  /** Called when the command has to wait for people, and not otherwise. */
  hold?(): Hold
}

/** The engine's side of a command that waits. */
export interface Hold {
  /** Aborts when the client cancels. */
  readonly signal: AbortSignal
  /** The hold is registered; tell the client. */
  onHeld(notice: HeldNotice): void
  /** The wait is over, however it ended. */
  release(): void
}

export interface HeldNotice {
  readonly approval: string
  readonly url: string
  readonly groups: readonly string[]
  readonly timeoutSeconds: number
  readonly rule: string
}

export interface Denial {
  readonly kind: 'denial'
  /** `denied`, `rejected`, `expired`, `cancelled`, `unavailable` (audit or control plane can't be reached), `refused`. */
  readonly cause: 'denied' | 'rejected' | 'expired' | 'cancelled' | 'unavailable' | 'refused'
  readonly rule: string
  readonly message: string
  readonly hint: string
}

/** A piece as it is gathered: its chunks become the payload that the event names. */
export interface RecordedPiece extends Pick<RecordingEvent, 'first' | 'last' | 'truncated'> {
  readonly chunks: readonly RecordedChunk[]
}
export type CommandResult = Omit<CommandEndEvent, 'kind' | 'session' | 'command' | 'duration_us' | 'result_bytes' | 'result_sha256'> & {
  /** Becomes the payload that the event names. */
  readonly result?: ResultPreview
}
