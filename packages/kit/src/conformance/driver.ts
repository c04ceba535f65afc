/**
 * What a protocol gives the conformance suite: a real client against the whole running system, and a look past it at
 * the target and the record. The suite knows no protocol; the driver knows no expectation.
 */
export interface ConformanceDriver {
  readonly protocol: string
  /** A client that has connected and authenticated. */
  connect(): Promise<ConformanceClient>
  /** Commands in the protocol's own words. `marker` makes each one recognisable in record and target. */
  readonly commands: {
    /** Permitted; its output holds the marker. */
    allowed(marker: string): string
    /** Denied; would change the target. */
    denied(marker: string): string
    /** Held; changes the target when it runs. */
    held(marker: string): string
    /** Permitted; its output would hold {@link secret} if it weren't masked. */
    masked(marker: string): string
    /** Permitted; provokes an error whose text would hold {@link secret}. */
    leakingError(marker: string): string
    /** Permitted; runs until it is ended. */
    endless(marker: string): string
    /** Permitted; some 50 MB of output. */
    large(marker: string): string
  }
  readonly secret: string
  /** Whether the denied or held command with this marker changed the target, and how often. */
  effects(marker: string): Promise<number>
  /** Whether the endless command with this marker runs at the target now. */
  running(marker: string): Promise<boolean>
  /** What the audit trail holds of the command with this marker; undefined while it holds nothing. */
  recorded(marker: string): Promise<RecordedCommand | undefined>
  /** Whether the agent's own spool, as it lies on disk, holds the marker. */
  spooled(marker: string): Promise<boolean>
  /** The pending approval of the command with this marker. */
  pending(marker: string): Promise<string>
  approve(approval: string): Promise<void>
  reject(approval: string, reason: string): Promise<void>
  /** `pending`, `approved`, `rejected`, `expired`, `cancelled`. */
  approvalState(approval: string): Promise<string>
  /** Ends the agent with SIGKILL. */
  killAgent(): Promise<void>
  /** Starts it again, and resolves when a session can be opened. */
  restartAgent(): Promise<void>
  /** What is wrong with the audit log's chains; undefined when they are whole. */
  chainProblem(): Promise<string | undefined>
  /** Resident memory of gateway and agent, bytes. */
  memory(): Promise<number>
  /** Cases that don't apply, each with the reason. */
  readonly exclusions?: Readonly<Partial<Record<string, string>>>
}

export interface ConformanceClient {
  /** Runs a command to its end. */
  run(command: string): Promise<Outcome>
  /** Starts a command without waiting for it. */
  start(command: string): Promise<Outcome>
  /** Resolves with the text once the client has been told that its command waits. */
  told(): Promise<string>
  /** Asks to cancel what runs. */
  cancel(): Promise<void>
  /** Stops reading what comes. */
  stopReading(): void
  /** Sends something that the protocol doesn't know. */
  violate(): Promise<void>
  /** Resolves once the server has closed the connection. */
  ended(): Promise<void>
  /** Goes away without a word. */
  destroy(): void
}

export interface Outcome {
  readonly ok: boolean
  /** Everything that the client was sent, text as it came. */
  readonly output: string
  /** The protocol's own error code, when it failed. */
  readonly code?: string
}

export interface RecordedCommand {
  readonly decision: string
  readonly rule: string
  /** Status of its end, once that is recorded. */
  readonly end?: string
  readonly masked?: number
  /** Whole record as text: what must not hold a secret. */
  readonly text: string
}
