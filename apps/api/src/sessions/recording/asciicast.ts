import { TerminalSanitiser, type RecordedChunk } from '@sallyport/kit'
import { z } from 'zod'
import { visibleText } from '../../approvals/visible.js'

const pieceSchema = z.object({
  first: z.number().int().min(0),
  chunks: z.array(z.object({ t_us: z.number().min(0).max(1e13), s: z.enum(['o', 'e', 'i', 'r']), d: z.string(), b: z.literal(true).optional() })),
  truncated: z.literal(true).optional(),
})
type Piece = z.infer<typeof pieceSchema>

/** What the header says of the session. */
export interface CastOptions {
  readonly title: string
  /** As recorded, escapes included: for forensics. Otherwise what could act on the viewer is left out. */
  readonly raw: boolean
}

const usualSize = { cols: 80, rows: 24 }
const labelCharacters = 200

interface Current {
  readonly terminal: boolean
  /** Microseconds since the epoch. */
  readonly startedAt: number
  /** Ordinal of the chunk that comes next. */
  next: number
  readonly streams: Map<string, TextStream>
}

/**
 * Writes asciicast v3 (https://docs.asciinema.org/manual/asciicast/v3/), line by line: a header, then
 * `[seconds since the last event, code, data]`. Commands stand one after the other, each with a marker in front; what ran
 * at the same time is told apart that way. Pieces come from an agent, so what can't be read is named and skipped.
 */
export class CastWriter {
  readonly #options: CastOptions
  #current: Current | undefined
  #label = ''
  #begun = false
  /** Time of the last line written, microseconds since the epoch. */
  #at = 0
  #exit: { status: string; at: number } | undefined

  constructor(options: CastOptions) {
    this.#options = options
  }

  /** The next event of the command that is being written, or of the next one. Lines, each with its end. */
  push(kind: string, time: string, body: string): string {
    const event = eventOf(body)
    const at = microseconds(time)
    switch (kind) {
      case 'command':
        this.#label = labelOf(event)
        return ''
      case 'command.end':
        this.#exit = exitOf(event, at)
        return ''
      default: {
        const piece = pieceSchema.safeParse(event)
        if (!piece.success) return this.#begun ? this.#line(this.#at, 'm', 'a piece of the recording can not be read') : ''
        return this.#piece(piece.data, at)
      }
    }
  }

  /** The command's events are all there. */
  endCommand(): string {
    const lines = this.#flush()
    this.#current = undefined
    this.#label = ''
    return lines
  }

  /** The last lines. */
  end(): string {
    return this.#begun && this.#exit ? this.#line(this.#exit.at, 'x', this.#exit.status) : ''
  }

  #piece(piece: Piece, at: number): string {
    let lines = ''
    let { chunks } = piece
    if (this.#current === undefined) {
      const startedAt = at - (chunks.at(-1)?.t_us ?? 0)
      const head = chunks[0]?.s === 'r' ? chunks[0] : undefined
      this.#current = { terminal: head !== undefined, startedAt, next: 0, streams: new Map() }
      lines += this.#begin(head && sizeOf(head.d), startedAt)
      if (head) chunks = chunks.slice(1)
    }
    const current = this.#current
    if (piece.first !== current.next) lines += this.#line(this.#at, 'm', 'a piece of the recording is missing')
    current.next = piece.first + piece.chunks.length
    for (const chunk of chunks) lines += this.#chunk(chunk, current)
    if (piece.truncated) lines += this.#line(this.#at, 'm', 'the recording has reached its limit')
    return lines
  }

  #begin(size: typeof usualSize | undefined, startedAt: number): string {
    let lines = ''
    if (!this.#begun) {
      this.#begun = true
      this.#at = startedAt
      const header = { version: 3, term: size ?? usualSize, timestamp: Math.floor(startedAt / 1e6), title: this.#options.title }
      lines += JSON.stringify(header) + '\n'
    } else if (size) lines += this.#line(startedAt, 'r', `${size.cols}x${size.rows}`)
    return lines + this.#line(startedAt, 'm', this.#label)
  }

  #chunk(chunk: Piece['chunks'][number], current: Current): string {
    const at = current.startedAt + chunk.t_us
    if (chunk.s === 'r') {
      const size = sizeOf(chunk.d)
      return size === undefined ? '' : this.#line(at, 'r', `${size.cols}x${size.rows}`)
    }
    const data = this.#stream(current, chunk.s).push(Buffer.from(chunk.d, chunk.b ? 'base64' : 'utf8'))
    return data === '' ? '' : this.#line(at, chunk.s === 'i' ? 'i' : 'o', data)
  }

  #stream(current: Current, name: RecordedChunk['s']): TextStream {
    const known = current.streams.get(name)
    if (known) return known
    const stream = new TextStream(this.#options.raw, !current.terminal)
    current.streams.set(name, stream)
    return stream
  }

  /** What the streams still hold: the beginning of a character that never ended. */
  #flush(): string {
    let lines = ''
    for (const [name, stream] of this.#current?.streams ?? []) {
      const data = stream.end()
      if (data !== '') lines += this.#line(this.#at, name === 'i' ? 'i' : 'o', data)
    }
    return lines
  }

  #line(at: number, code: 'o' | 'i' | 'r' | 'm' | 'x', data: string): string {
    // Two commands that ran at once would go back in time.
    const interval = Math.max(0, at - this.#at) / 1e6
    this.#at = Math.max(this.#at, at)
    return `[${interval.toFixed(6)}, "${code}", ${JSON.stringify(data)}]\n`
  }
}

/** Bytes of one stream to what a player may show: characters whole, and harmless unless they are wanted as they were. */
class TextStream {
  readonly #decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  readonly #sanitiser: TerminalSanitiser | undefined
  readonly #lineEnds: boolean

  /** @param lineEnds without a terminal a line ends with LF alone; a player needs the CR */
  constructor(raw: boolean, lineEnds: boolean) {
    this.#sanitiser = raw ? undefined : new TerminalSanitiser()
    this.#lineEnds = lineEnds
  }

  push(bytes: Uint8Array): string {
    return this.#shown(this.#decoder.decode(bytes, { stream: true }))
  }

  end(): string {
    return this.#shown(this.#decoder.decode())
  }

  #shown(text: string): string {
    const safe = this.#sanitiser ? this.#sanitiser.push(text) : text
    return this.#lineEnds ? safe.replaceAll('\n', '\r\n') : safe
  }
}

function eventOf(body: string): unknown {
  try {
    const parsed = z.object({ event: z.unknown() }).safeParse(JSON.parse(body))
    return parsed.success ? parsed.data.event : undefined
  } catch {
    return undefined
  }
}

function labelOf(event: unknown): string {
  const parsed = z.object({ command: z.number(), text: z.string() }).safeParse(event)
  return parsed.success ? visibleText(`#${parsed.data.command} ${parsed.data.text}`.slice(0, labelCharacters)).replaceAll(/[\n\t]/g, ' ') : ''
}

function exitOf(event: unknown, at: number): { status: string; at: number } | undefined {
  const parsed = z.object({ tag: z.string() }).safeParse(event)
  const status = parsed.success ? /^exit (\d{1,10})$/.exec(parsed.data.tag)?.[1] : undefined
  return status === undefined ? undefined : { status, at }
}

/** A client without a window says 0 by 0. */
function sizeOf(text: string): typeof usualSize | undefined {
  const match = /^([1-9]\d{0,3})x([1-9]\d{0,3})$/.exec(text)
  return match ? { cols: Number(match[1]), rows: Number(match[2]) } : undefined
}

function microseconds(time: string): number {
  return Math.floor(Date.parse(time.replace(/(\.\d{3})\d*Z$/, '$1Z')) * 1000) + Number(/\.\d{3}(\d{3})Z$/.exec(time)?.[1] ?? 0)
}
