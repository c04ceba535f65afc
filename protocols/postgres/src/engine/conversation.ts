import type { ByteChannel, EngineLog, Guard, Permit } from '@sallyport/kit'
import { ProtocolError, type NoticeFields } from '../codec/index.js'
import type { Expected, Portal, Run } from './expected.js'
import { ExpectedQueue } from './expected-queue.js'
import type { NamesTracker } from './names-tracker.js'
import type { Statement } from './statement.js'
import type { TargetLink } from './target-link.js'

/** ReadyForQuery's status byte. */
export const txIdle = 0x49
export const txOpen = 0x54
export const txFailed = 0x45

/** As in the command's end event. */
type RunStatus = 'ok' | 'error' | 'cancelled' | 'unknown'

/** What client side and target side of one session share. */
export class Conversation {
  readonly expected = new ExpectedQueue()
  /** Statements that the target has confirmed. */
  readonly statements = new Map<string, Statement>()
  readonly portals = new Map<string, Portal>()
  /** Of the last ReadyForQuery. */
  status = txIdle
  /** Extended messages were sent and no Sync behind them yet. */
  openBatch = false
  /** An error was (or will be) reported: the client's messages count for nothing until its Sync. */
  skipping = false
  /** The COPY FROM STDIN that takes data now. */
  copyIn: Run | undefined
  /** Wakes the client side, which waits for a COPY FROM STDIN to be answered. */
  copyAnswered: (() => void) | undefined
  ended = false

  constructor(
    readonly client: ByteChannel,
    readonly link: TargetLink,
    readonly guard: Guard,
    readonly names: NamesTracker,
    readonly log: EngineLog,
    /** Ends the session with a native FATAL error. */
    readonly fail: (error: ProtocolError) => void,
  ) {}

  /** Waits until the target has answered everything, making it answer if it needn't yet. */
  async settle(): Promise<void> {
    if (this.expected.size === 0) return
    if (this.openBatch) this.link.flush()
    await this.expected.drained()
  }

  /** What the name stands for once everything sent so far has been answered without error; see {@link unsure}. */
  statement(name: string): Statement | undefined {
    for (const item of this.expected.backwards()) {
      if (item.kind === 'parse' && item.statement.name === name) return item.statement
      if (item.kind === 'close' && item.of === 'statement' && item.name === name) return undefined
    }
    return this.statements.get(name)
  }

  portal(name: string): Portal | undefined {
    for (const item of this.expected.backwards()) {
      if (item.kind === 'bind' && item.portal.name === name) return item.portal
      if (item.kind === 'close' && item.of === 'portal' && item.name === name) return undefined
    }
    return this.portals.get(name)
  }

  /**
   * True when an earlier batch that defines or closes this name isn't answered yet. It may still fail, and then the
   * name means something older than it seems: what to run must not be decided on a guess. Within one batch there is no
   * doubt, because an error makes the target skip all the rest of it.
   */
  unsure(of: 'statement' | 'portal', name: string): boolean {
    let beyond = false
    for (const item of this.expected.backwards()) {
      if (item.kind === 'sync' || item.kind === 'query') beyond = true
      const touches =
        (item.kind === 'close' && item.of === of && item.name === name) ||
        (of === 'statement' ? item.kind === 'parse' && item.statement.name === name : item.kind === 'bind' && item.portal.name === name)
      if (touches) return beyond
    }
    // A transaction's end drops its portals, and whether it ends isn't known before the target has said so.
    return of === 'portal' && beyond
  }

  /** True while something runs that changes what names mean. */
  namesInMotion(): boolean {
    if (this.expected.size === 0) return false
    const { prepared, cursors, transactionClean } = this.names.context
    // What the open transaction has set or made is undone by its end, and by an error in what isn't answered yet.
    if (transactionClean !== true) return true
    for (const item of this.expected.backwards()) {
      if ((item.kind === 'query' || item.kind === 'execute') && changesState(item)) return true
      // Close, Parse and Bind share their names with PREPARE and DECLARE.
      if (item.kind === 'close' && (item.of === 'statement' ? prepared : cursors).has(item.name)) return true
      if (item.kind === 'parse' && prepared.has(item.statement.name)) return true
      if (item.kind === 'bind' && cursors.has(item.portal.name)) return true
    }
    return false
  }

  /** A permitted command isn't sent after all. */
  withdraw(permit: Permit): void {
    this.guard.finish(permit, { status: 'cancelled', rows: 0, bytes: 0, masked: 0 })?.catch(() => undefined)
  }

  /** Ends a run's record. Throws when it can't be recorded; whether it gets durable is the spool's to report. */
  finish(run: Run, status: RunStatus, tag?: string, error?: NoticeFields): void {
    this.finishDurably(run, status, tag, error)?.catch(() => undefined)
  }

  /** The same; a strict session waits for what it returns before the client sees the end. */
  finishDurably(run: Run, status: RunStatus, tag?: string, error?: NoticeFields): Promise<void> | undefined {
    if (run.done) return undefined
    run.done = true
    const result = run.preview?.finish()
    return this.guard.finish(run.permit, {
      status,
      rows: run.rows,
      bytes: run.bytes,
      masked: run.masked,
      ...(tag === undefined ? {} : { tag }),
      ...(error ? { error_code: (error.get('C') ?? '').slice(0, 5), error_message: (error.get('M') ?? '').slice(0, 512) } : {}),
      ...(result ? { result } : {}),
    })
  }
}

function changesState(item: Extract<Expected, { kind: 'query' | 'execute' }>): boolean {
  const runs = item.kind === 'query' ? item.runs : [item.portal.run]
  return runs.some((run) => run.analysis.changes.some((change) => change.kind !== 'transaction' || change.verb === 'rollback_to'))
}
