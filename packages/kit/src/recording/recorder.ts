import type { RecordedChunk } from '../event.js'
import type { Guard } from '../guard.js'
import type { Permit } from '../permit.js'
import { incompleteTail } from './utf8.js'

/** Pieces are written when so much has gathered … */
const pieceBytes = 16 * 1024
/** … or so long after their first chunk. */
const pieceMilliseconds = 250
/** What a chunk costs besides its data, as JSON; counted, so that output byte by byte can't pass the cap. */
const chunkOverhead = 32

export interface RecorderOptions {
  readonly guard: Pick<Guard, 'record'>
  readonly permit: Permit
  /** Most bytes kept of this command; 0 records nothing. */
  readonly maxBytes: number
  /** A piece could not be recorded: the session has to end. */
  onError(error: unknown): void
}

/**
 * Records what one command shows: gathers it in pieces of bounded size and delay, keeps multi-byte characters whole, and
 * stops at the cap. Give it masked output only.
 */
export class Recorder {
  readonly #options: RecorderOptions
  #room: number
  #chunks: RecordedChunk[] = []
  #gathered = 0
  #written = 0
  #truncated = false
  #ended = false
  #failed = false
  #timer: NodeJS.Timeout | undefined
  /** The beginning of a character whose end has not come, by stream. */
  readonly #tails = new Map<RecordedChunk['s'], Buffer>()

  constructor(options: RecorderOptions) {
    this.#options = options
    this.#room = options.maxBytes
  }

  /** Bytes of one stream. The buffer is copied where it must be kept. */
  push(stream: 'o' | 'e' | 'i', bytes: Buffer): void {
    if (this.#ended || this.#truncated || this.#options.maxBytes === 0 || bytes.length === 0) return
    const tail = this.#tails.get(stream)
    const whole = tail === undefined ? bytes : Buffer.concat([tail, bytes])
    const held = incompleteTail(whole)
    if (held === 0) this.#tails.delete(stream)
    else this.#tails.set(stream, Buffer.from(whole.subarray(whole.length - held)))
    const data = whole.subarray(0, whole.length - held)
    // A chunk never makes a record that the spool refuses for its size.
    for (let at = 0; at < data.length; at += pieceBytes) this.#add(stream, data.subarray(at, at + pieceBytes))
  }

  /** The terminal's size, at the beginning and whenever it changes. */
  resize(columns: number, rows: number): void {
    if (this.#ended || this.#truncated || this.#options.maxBytes === 0) return
    this.#add('r', Buffer.from(`${columns}x${rows}`))
  }

  /** Writes what is left. Call it before the end of the command is recorded. */
  end(): void {
    if (this.#ended) return
    for (const [stream, tail] of this.#tails) if (!this.#truncated) this.#add(stream, tail)
    this.#ended = true
    if (this.#written > 0 || this.#chunks.length > 0) this.#write(true)
  }

  #add(stream: RecordedChunk['s'], bytes: Buffer): void {
    if (this.#truncated) return
    const room = this.#room - chunkOverhead
    let kept = bytes
    if (bytes.length > room) {
      this.#truncated = true
      if (room <= 0 || stream === 'r') return
      kept = bytes.subarray(0, room)
      kept = kept.subarray(0, kept.length - incompleteTail(kept))
    }
    this.#room -= kept.length + chunkOverhead
    this.#gathered += kept.length + chunkOverhead
    const elapsed = Number((process.hrtime.bigint() - this.#options.permit.startedAt) / 1000n)
    this.#chunks.push({ t_us: Math.max(0, elapsed), s: stream, ...encoded(kept) })
    if (this.#gathered >= pieceBytes) this.#write(false)
    else this.#timer ??= setTimeout(() => this.#write(false), pieceMilliseconds).unref()
  }

  #write(last: boolean): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (this.#failed || (this.#chunks.length === 0 && !last)) return
    const chunks = this.#chunks
    const first = this.#written
    this.#chunks = []
    this.#gathered = 0
    this.#written += chunks.length
    try {
      this.#options.guard.record(this.#options.permit, { first, chunks, ...(last ? { last: true as const } : {}), ...(last && this.#truncated ? { truncated: true as const } : {}) })
    } catch (error) {
      this.#failed = true
      this.#options.onError(error)
    }
  }
}

/** As text where it is text. Base64 where it isn't, and where JSON's escapes would make it grow (a screen full of ESC: six for one). */
function encoded(bytes: Buffer): Pick<RecordedChunk, 'd' | 'b'> {
  const text = bytes.toString('utf8')
  const same = Buffer.from(text, 'utf8').equals(bytes)
  return same && JSON.stringify(text).length <= 2 * bytes.length + 2 ? { d: text } : { d: bytes.toString('base64'), b: true }
}
