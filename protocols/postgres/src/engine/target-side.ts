import type { StatementAnalysis } from '../analyse/index.js'
import {
  backend,
  decodeCommandTag,
  decodeNotice,
  decodeNotification,
  decodeParameterStatus,
  decodeReadyForQuery,
  decodeRowDescription,
  encodeError,
  encodeNotice,
  encodeNotification,
  encodeParameterStatus,
  FrameReader,
  MessageCursor,
  ProtocolError,
  rowsOfTag,
} from '../codec/index.js'
import { txFailed, txIdle, txOpen, type Conversation } from './conversation.js'
import { need, runOf, unexpected } from './expected-answer.js'
import type { Expected, Run } from './expected.js'
import { CopyOut } from './copy-out.js'
import { hiddenAnswers, hiddenCell } from './hidden.js'
import { buildCopyMask } from './masking/copy-mask.js'
import { maskNotice, maskText } from './masking/notice-mask.js'
import { RowMaskCache, type RowMask } from './masking/row-mask.js'
import { emptyStatement } from './runs.js'

type Query = Extract<Expected, { kind: 'query' }>

/**
 * Handles what the target sends: matches it with what is owed, masks it, and passes it on. What doesn't belong where it
 * comes ends the session: a hostile or confused target must not reach the client with anything unaccounted for.
 */
export class TargetSide {
  readonly #c: Conversation
  readonly #rowMasks = new RowMaskCache()
  readonly reader: FrameReader
  /** The client's window is used up: nothing more may be written before it is writable. */
  blocked = false
  /** Bytes of the current chunk that go to the client as they are: [from, to) of `source`. */
  #source: Buffer | undefined
  #from = 0
  #to = 0
  /** DataRows seen one behind the other and not handled yet: [rowsFrom, rowsTo) of `rowsBuffer`. */
  #rowsBuffer: Buffer = Buffer.alloc(0)
  #rowsFrom = -1
  #rowsTo = 0
  #rowCount = 0
  readonly #copyOut: CopyOut

  constructor(conversation: Conversation, reader: FrameReader) {
    this.#c = conversation
    this.reader = reader
    this.#copyOut = new CopyOut({ pass: (buffer, start, end) => this.#pass(buffer, start, end), emit: (bytes) => this.#emit(bytes) })
  }

  /**
   * Handles whole messages up to the end of what was pushed, or up to one that must wait (strict audit): then returns
   * a promise, after which it is to be called again.
   */
  drain(): Promise<void> | undefined {
    const { reader } = this
    while (reader.next()) {
      if (reader.type === backend.dataRow) {
        if (this.#rowsFrom < 0) {
          // The reader lets go of its buffer at the end of it.
          this.#rowsBuffer = reader.buffer
          this.#rowsFrom = reader.start
        }
        this.#rowsTo = reader.end
        this.#rowCount += 1
        continue
      }
      if (this.#rowsFrom >= 0) this.#rows()
      if (reader.type === backend.copyData && this.#copyOut.gather(runOf(this.#c.expected.head), reader.buffer, reader.start, reader.end)) continue
      this.#copyOut.flush()
      const wait = this.#message(reader.type, reader.buffer, reader.start, reader.end)
      if (wait) {
        this.#emitPending()
        return wait
      }
    }
    if (this.#rowsFrom >= 0) this.#rows()
    this.#copyOut.flush()
    this.#emitPending()
    return undefined
  }

  #message(type: number, buffer: Buffer, start: number, end: number): Promise<void> | undefined {
    const c = this.#c
    switch (type) {
      case backend.noticeResponse:
        this.#emit(encodeNotice(backend.noticeResponse, maskNotice(decodeNotice(buffer, start, end), this.#spokenOf(), c.guard.masks)))
        return undefined
      case backend.notificationResponse: {
        const { pid, channel, payload } = decodeNotification(buffer, start, end)
        this.#emit(encodeNotification(pid, channel, maskText(payload, c.guard.masks)))
        return undefined
      }
      case backend.parameterStatus:
        this.#parameterStatus(buffer, start, end)
        return undefined
      case backend.errorResponse:
        return this.#error(buffer, start, end)
      default:
        return this.#answer(type, buffer, start, end)
    }
  }

  #answer(type: number, buffer: Buffer, start: number, end: number): Promise<void> | undefined {
    const { expected } = this.#c
    const head = expected.head
    if (!head) throw unexpected(type)
    switch (head.kind) {
      case 'query':
        return this.#queryAnswer(head, type, buffer, start, end)
      case 'execute':
        return this.#executeAnswer(head.portal.run, type, buffer, start, end)
      case 'hidden':
        this.#hiddenAnswer(head, type, buffer, start, end)
        return undefined
      case 'parse':
        need(type, backend.parseComplete)
        this.#c.statements.set(head.statement.name, head.statement)
        this.#c.names.forgetPrepared(head.statement.name)
        break
      case 'bind': {
        need(type, backend.bindComplete)
        const replaced = this.#c.portals.get(head.portal.name)
        if (replaced) this.#close(replaced.run)
        this.#c.portals.set(head.portal.name, head.portal)
        this.#c.names.forgetCursor(head.portal.name)
        break
      }
      case 'close':
        need(type, backend.closeComplete)
        if (head.of === 'statement') {
          this.#c.statements.delete(head.name)
          this.#c.names.forgetPrepared(head.name)
        } else {
          this.#c.names.forgetCursor(head.name)
          const portal = this.#c.portals.get(head.name)
          if (portal) this.#close(portal.run)
          this.#c.portals.delete(head.name)
        }
        break
      case 'describe':
        this.#describeAnswer(head, type, buffer, start, end)
        return undefined
      case 'sync':
        need(type, backend.readyForQuery)
        return this.#readyShown(buffer, start, end)
      case 'poison':
        // After the error of a simple query comes its ReadyForQuery; nothing else can.
        if (head.protocol !== 'simple' || !head.reported) throw unexpected(type)
        need(type, backend.readyForQuery)
        return this.#readyShown(buffer, start, end)
    }
    expected.shift()
    this.#pass(buffer, start, end)
    return undefined
  }

  #queryAnswer(query: Query, type: number, buffer: Buffer, start: number, end: number): Promise<void> | undefined {
    const run = query.runs[query.current]
    switch (type) {
      case backend.readyForQuery:
        for (const left of query.runs) this.#c.finish(left, 'cancelled')
        return this.#readyShown(buffer, start, end)
      case backend.rowDescription:
        if (!run) throw unexpected(type)
        run.fields = decodeRowDescription(buffer, start, end)
        run.preview?.describe(run.fields, undefined)
        this.#pass(buffer, start, end)
        return undefined
      case backend.emptyQueryResponse:
      case backend.commandComplete: {
        // A rewrite rule can make one statement several, but only the last one reports its completion.
        if (!run) throw unexpected(type)
        query.current += 1
        return this.#complete(run, type, buffer, start, end)
      }
      default:
        this.#copyAnswer(run, type, buffer, start, end)
        return undefined
    }
  }

  #executeAnswer(run: Run, type: number, buffer: Buffer, start: number, end: number): Promise<void> | undefined {
    switch (type) {
      case backend.portalSuspended:
        new MessageCursor(buffer, start, end).done()
        this.#c.expected.shift()
        this.#pass(buffer, start, end)
        return undefined
      case backend.emptyQueryResponse:
      case backend.commandComplete:
        this.#c.expected.shift()
        return this.#complete(run, type, buffer, start, end)
      default:
        this.#copyAnswer(run, type, buffer, start, end)
        return undefined
    }
  }

  /** CommandComplete: recorded before the client sees it, in a strict session durably. */
  #complete(run: Run, type: number, buffer: Buffer, start: number, end: number): Promise<void> | undefined {
    const tag = type === backend.commandComplete ? decodeCommandTag(buffer, start, end) : ''
    this.#answerCopy()
    if (run.rows === 0) run.rows = rowsOfTag(tag)
    const durable = this.#c.finishDurably(run, 'ok', tag)
    this.#completed(run)
    if (!durable) {
      this.#pass(buffer, start, end)
      return undefined
    }
    return this.#whenDurable([durable], buffer.subarray(start, end))
  }

  /** In a strict session, what tells the client of an end waits until that end is durable. */
  #whenDurable(ends: readonly Promise<void>[], bytes: Buffer): Promise<void> | undefined {
    if (ends.length > 0) {
      return Promise.all(ends).then(
        () => this.#emit(bytes),
        () => this.#c.fail(new ProtocolError('the result was not shown: its audit record could not be made durable', '57P03')),
      )
    }
    this.#emit(bytes)
    return undefined
  }

  #readyShown(buffer: Buffer, start: number, end: number): Promise<void> | undefined {
    const ends = this.#ready(decodeReadyForQuery(buffer, start, end))
    this.#c.expected.shift()
    if (ends.length > 0) return this.#whenDurable(ends, buffer.subarray(start, end))
    this.#pass(buffer, start, end)
    return undefined
  }

  #completed(run: Run): void {
    // A failed transaction is over (or back at its savepoint) before ReadyForQuery says so: names can be asked for again.
    if (this.#c.status === txFailed && run.analysis.changes.some((change) => change.kind === 'transaction')) this.#c.status = txOpen
    const deallocated = this.#c.names.completed(run.analysis)
    if (deallocated === 'all') this.#c.statements.clear()
    else if (deallocated !== undefined) this.#c.statements.delete(deallocated)
  }

  #copyAnswer(run: Run | undefined, type: number, buffer: Buffer, start: number, end: number): void {
    const copy = run?.analysis.copy
    if (!run || !copy) throw unexpected(type)
    switch (type) {
      case backend.copyInResponse:
        if (copy.direction !== 'in') throw unexpected(type)
        this.#c.copyIn = run
        this.#pass(buffer, start, end)
        this.#answerCopy()
        return
      case backend.copyOutResponse:
        if (copy.direction !== 'out' || run.copyMask) throw unexpected(type)
        run.copyMask = buildCopyMask(run.analysis, copy, this.#c.guard.masks)
        this.#pass(buffer, start, end)
        return
      case backend.copyData: {
        if (!run.copyMask) throw unexpected(type)
        this.#copyOut.data(run, run.copyMask, buffer, start, end)
        return
      }
      case backend.copyDone:
        if (!run.copyMask) throw unexpected(type)
        for (const part of run.copyMask.end(run)) this.#emit(part)
        this.#pass(buffer, start, end)
        return
      default:
        throw unexpected(type)
    }
  }

  #describeAnswer(head: Extract<Expected, { kind: 'describe' }>, type: number, buffer: Buffer, start: number, end: number): void {
    if (type === backend.parameterDescription && head.of === 'statement') {
      this.#pass(buffer, start, end)
      return
    }
    if (type !== backend.noData) need(type, backend.rowDescription)
    const fields = type === backend.noData ? 'none' : decodeRowDescription(buffer, start, end)
    if (head.statement) head.statement.fields = fields
    this.#c.expected.shift()
    if (!head.hidden) this.#pass(buffer, start, end)
  }

  #hiddenAnswer(head: Extract<Expected, { kind: 'hidden' }>, type: number, buffer: Buffer, start: number, end: number): void {
    const { query } = head
    if (head.step === 'execute' && type === backend.commandComplete) {
      query.resolve(query.rows)
    } else {
      need(type, hiddenAnswers[head.step])
      if (head.step === 'sync') void this.#ready(decodeReadyForQuery(buffer, start, end))
    }
    this.#c.expected.shift()
  }

  // ---- rows

  #rows(): void {
    const buffer = this.#rowsBuffer
    const from = this.#rowsFrom
    const to = this.#rowsTo
    const count = this.#rowCount
    this.#rowsFrom = -1
    this.#rowCount = 0
    const head = this.#c.expected.head
    if (head?.kind === 'hidden') {
      for (let offset = from; offset < to; offset += 1 + buffer.readInt32BE(offset + 1)) head.query.rows.push(hiddenCell(buffer, offset))
      return
    }
    const run = runOf(head)
    if (!run) throw unexpected(backend.dataRow)
    run.rows += count
    run.bytes += to - from - count * 5
    const mask = this.#rowMask(run)
    if (!mask || !mask.touches(buffer, from, to)) {
      this.#preview(run, buffer, from, to)
      this.#pass(buffer, from, to)
      return
    }
    for (let offset = from; offset < to; ) {
      const next = offset + 1 + buffer.readInt32BE(offset + 1)
      const before = run.masked
      const row = mask.apply(buffer, offset, next, run)
      if (run.masked === before) {
        this.#preview(run, buffer, offset, next)
        this.#pass(buffer, offset, next)
      } else {
        this.#preview(run, row, 0, row.length)
        this.#emit(row)
      }
      offset = next
    }
  }

  #preview(run: Run, buffer: Buffer, from: number, to: number): void {
    const { preview } = run
    if (!preview) return
    for (let offset = from; offset < to && preview.open; ) {
      const next = offset + 1 + buffer.readInt32BE(offset + 1)
      preview.row(buffer, offset, next)
      offset = next
    }
    if (!preview.open) preview.skipped()
  }

  #rowMask(run: Run): RowMask | null {
    const { masks } = this.#c.guard
    if (run.rowMask?.masks === masks) return run.rowMask.mask
    let fields = run.fields
    if (!fields && run.statement && run.statement.fields !== 'none') fields = run.statement.fields
    // Rows without a description can't be masked, so they aren't shown.
    if (!fields) throw new ProtocolError('rows without a description')
    if (!run.rowMask) run.preview?.describe(fields, run.formats)
    const mask = this.#rowMasks.get(fields, run.formats, run.analysis, this.#c.names, masks)
    run.rowMask = { mask, masks }
    return mask
  }

  // ---- errors and state

  #error(buffer: Buffer, start: number, end: number): Promise<void> | undefined {
    const c = this.#c
    const fields = decodeNotice(buffer, start, end)
    const { expected } = c
    const head = expected.head
    this.#answerCopy()
    c.copyIn = undefined
    const run = this.#running()
    const shown = maskNotice(fields, this.#spokenOf(), c.guard.masks)
    if (head?.kind === 'poison') this.#emit(head.error)
    else if (head?.kind === 'hidden') {
      head.query.reject(new Error('the target refused a catalog query'))
      // In the client's own batch the target now skips to the client's Sync, and the client has to learn why.
      this.#emit(
        encodeError({
          severity: 'ERROR',
          sqlstate: '57P03',
          message: "Sallyport: the target's catalog could not be read, so the statement is denied",
          hint: 'Roll back and try again; the agent role needs to read the system catalogs.',
        }),
      )
    }
    const ended = run && c.finishDurably(run, fields.get('C') === '57014' ? 'cancelled' : 'error', undefined, shown)
    if (run) c.names.failed(run.analysis)
    this.#errorEnds(head)
    return head?.kind === 'poison' || head?.kind === 'hidden' ? undefined : this.#whenDurable(ended ? [ended] : [], encodeNotice(backend.errorResponse, shown))
  }

  /** What the target answers no more after an error. */
  #errorEnds(head: Expected | undefined): void {
    switch (head?.kind) {
      case undefined:
      case 'query':
        if (head?.kind === 'query') head.current = head.runs.length
        return
      case 'poison':
        if (head.protocol === 'simple') {
          head.reported = true
          return
        }
        this.#skipToSync()
        return
      default:
        this.#skipToSync()
    }
  }

  /** The target ignores everything up to the next Sync. */
  #skipToSync(): void {
    const { expected } = this.#c
    for (;;) {
      const head = expected.head
      if (!head) {
        this.#c.skipping = true
        return
      }
      if (head.kind === 'sync' || (head.kind === 'hidden' && head.step === 'sync')) return
      if (head.kind === 'bind') this.#c.finish(head.portal.run, 'cancelled')
      if (head.kind === 'execute') this.#c.finish(head.portal.run, 'cancelled')
      if (head.kind === 'query') for (const run of head.runs) this.#c.finish(run, 'cancelled')
      if (head.kind === 'hidden') head.query.reject(new Error('skipped'))
      if (head.kind === 'describe' && head.statement) head.statement.describing = false
      expected.shift()
    }
  }

  /** Returns the ends of portals that have to be durable before the client hears of it. */
  #ready(status: number): Promise<void>[] {
    const c = this.#c
    c.status = status
    if (status !== txIdle) return []
    // Portals end with their transaction.
    const ends = [...c.portals.values()].flatMap(({ run }) => c.finishDurably(run, run.rows > 0 ? 'ok' : 'cancelled') ?? [])
    c.portals.clear()
    c.names.transactionEnded()
    return ends
  }

  /** A portal that will give no more rows: begun and left, or never executed. */
  #close(run: Run): void {
    this.#c.finish(run, run.rows > 0 ? 'ok' : 'cancelled')
  }

  #parameterStatus(buffer: Buffer, start: number, end: number): void {
    const { name, value } = decodeParameterStatus(buffer, start, end)
    const lower = name.toLowerCase()
    if (lower === 'client_encoding' && value.toUpperCase() !== 'UTF8') throw new ProtocolError('client_encoding was changed, and statements could no longer be analysed', '22023')
    if (lower === 'standard_conforming_strings' && value !== 'on') throw new ProtocolError('standard_conforming_strings was changed, and statements could no longer be analysed', '22023')
    this.#emit(encodeParameterStatus(name, maskText(value, this.#c.guard.masks)))
  }

  #running(): Run | undefined {
    const head = this.#c.expected.head
    return head?.kind === 'bind' ? head.portal.run : runOf(head)
  }

  /** What a message of the target may be about; undefined when it can't be told. Parse and Describe run nothing. */
  #spokenOf(): StatementAnalysis | undefined {
    const head = this.#c.expected.head
    if (head?.kind === 'parse' || head?.kind === 'describe' || head?.kind === 'close') return emptyStatement
    return this.#running()?.analysis
  }

  #answerCopy(): void {
    const wake = this.#c.copyAnswered
    this.#c.copyAnswered = undefined
    wake?.()
  }

  // ---- output

  #pass(buffer: Buffer, start: number, end: number): void {
    if (this.#source === buffer && this.#to === start) {
      this.#to = end
      return
    }
    this.#emitPending()
    this.#source = buffer
    this.#from = start
    this.#to = end
  }

  #emit(bytes: Buffer): void {
    this.#emitPending()
    this.blocked = !this.#c.client.write(bytes)
  }

  #emitPending(): void {
    const source = this.#source
    if (!source) return
    this.#source = undefined
    this.blocked = !this.#c.client.write(source.subarray(this.#from, this.#to))
  }
}
