import { isUtf8 } from 'node:buffer'
import type { CompiledMasks } from '@sallyport/policy'

/** A line longer than this is looked at in pieces that overlap. */
const maxHeldBytes = 64 * 1024
const overlapBytes = 4096
/** How long the beginning of a line may wait for its end: a prompt must be seen. */
const lineMilliseconds = 100
const terminalMilliseconds = 15
/** A word that has not ended may be the beginning of something: it waits longer, but not for ever. */
const wordMilliseconds = 1000
const unfinishedWord = /[A-Za-z0-9@._+/=:-]{4,256}$/

const newline = 0x0a
/** What can hold a find at all, in bytes that are no text. */
const readable = /[\t\r\n\x1b\x20-\x7e]{8,}/g

export interface StreamMaskOptions {
  /** Bytes that may go on. */
  emit(bytes: Buffer): void
  /** The masks of now: a grant can change in mid-stream. */
  masks(): CompiledMasks
  /** A person types at a terminal: little delay. */
  terminal: boolean
}

/**
 * Runs the content detectors over a stream of bytes, line by line and across the borders of chunks. What isn't a find
 * passes as it is, byte for byte, whatever its encoding. At most {@link maxHeldBytes} are held back, and the beginning of
 * a line no longer than a moment.
 */
export class StreamMask {
  readonly #options: StreamMaskOptions
  #held: Buffer = Buffer.alloc(0)
  #timer: NodeJS.Timeout | undefined
  #waited = false
  /** Inside a private key whose end has not been seen: nothing of it is shown. */
  #insideKey = false
  #masked = 0

  constructor(options: StreamMaskOptions) {
    this.#options = options
  }

  /** Finds replaced so far. */
  get masked(): number {
    return this.#masked
  }

  push(chunk: Buffer): void {
    const masks = this.#options.masks()
    if (!masks.hasDetectors && this.#held.length === 0) {
      this.#options.emit(chunk)
      return
    }
    this.#stopTimer()
    let rest = chunk
    if (this.#held.length > 0) {
      // Only up to the first end of a line, so that what follows need not be copied.
      const end = chunk.indexOf(newline) + 1
      if (end === 0) {
        this.#held = Buffer.concat([this.#held, chunk])
        this.#relieve(masks)
        return
      }
      const line = Buffer.concat([this.#held, chunk.subarray(0, end)])
      this.#held = Buffer.alloc(0)
      rest = this.#process(masks, line) ? Buffer.concat([this.#held, chunk.subarray(end)]) : chunk.subarray(end)
      this.#held = Buffer.alloc(0)
    }
    const end = rest.lastIndexOf(newline) + 1
    const tail = Buffer.from(rest.subarray(end))
    if (end > 0 && this.#process(masks, rest.subarray(0, end))) this.#held = Buffer.concat([this.#held, tail])
    else this.#held = tail
    this.#relieve(masks)
  }

  /** The stream is over: everything left goes out, masked. */
  end(): void {
    this.#stopTimer()
    const held = this.#held
    this.#held = Buffer.alloc(0)
    if (held.length > 0) this.#show(this.#options.masks(), held)
  }

  /**
   * Shows whole lines. True when the last of them open a private key: these are in `held` then, until its end is seen.
   */
  #process(masks: CompiledMasks, lines: Buffer): boolean {
    const open = this.#insideKey ? undefined : openKey(lines)
    if (open === undefined) {
      this.#show(masks, lines)
      return false
    }
    if (open > 0) this.#show(masks, lines.subarray(0, open))
    this.#held = Buffer.from(lines.subarray(open))
    return true
  }

  /** Keeps what is held within its bounds, and sets the timer for the rest. */
  #relieve(masks: CompiledMasks): void {
    if (this.#held.length > maxHeldBytes) {
      if (openKey(this.#held) !== undefined) {
        this.#insideKey = true
        this.#options.emit(Buffer.from('[redacted]\n'))
        this.#masked += 1
        this.#held = Buffer.from(this.#held.subarray(-64))
      } else {
        const wanted = this.#held.length - overlapBytes
        const cut = masks.mayDetect(this.#held) ? safeCut(masks, this.#held.toString('latin1'), wanted) : wanted
        const ready = this.#held.subarray(0, cut)
        this.#held = Buffer.from(this.#held.subarray(cut))
        this.#show(masks, ready)
      }
    }
    if (this.#held.length === 0) return
    const wait = this.#options.terminal ? terminalMilliseconds : this.#waited ? wordMilliseconds : lineMilliseconds
    this.#timer = setTimeout(() => this.#timeout(), wait).unref()
  }

  #timeout(): void {
    const masks = this.#options.masks()
    this.#timer = undefined
    const held = this.#held
    if (openKey(held) !== undefined || this.#insideKey) return
    const text = held.toString('latin1')
    const word = this.#options.terminal || this.#waited ? undefined : unfinishedWord.exec(text)
    const cut = word === null || word === undefined ? held.length : word.index
    this.#held = Buffer.from(held.subarray(cut))
    if (cut > 0) this.#show(masks, held.subarray(0, cut))
    if (this.#held.length === 0) return
    this.#waited = true
    this.#timer = setTimeout(() => this.#timeout(), wordMilliseconds).unref()
  }

  #show(masks: CompiledMasks, bytes: Buffer): void {
    this.#waited = false
    let shown = bytes
    if (this.#insideKey) {
      const end = endOfKey(bytes)
      if (end === undefined) return
      this.#insideKey = false
      shown = bytes.subarray(end)
    }
    if (shown.length === 0) return
    if (!masks.mayDetect(shown)) this.#options.emit(shown)
    else if (isUtf8(shown)) this.#showText(masks, shown)
    else this.#showBinary(masks, shown)
  }

  #showText(masks: CompiledMasks, bytes: Buffer): void {
    const result = masks.detectors(bytes.toString('utf8'))
    this.#masked += result.count
    this.#options.emit(result.count === 0 ? bytes : Buffer.from(result.text, 'utf8'))
  }

  /**
   * Bytes that are no text: detectors see the pieces of plain ASCII in them, one by one. Over the whole they would take
   * digits from anywhere in a picture or an archive for a number, and spoil it.
   */
  #showBinary(masks: CompiledMasks, bytes: Buffer): void {
    const text = bytes.toString('latin1')
    let shown = 0
    readable.lastIndex = 0
    for (let match = readable.exec(text); match !== null; match = readable.exec(text)) {
      const piece = bytes.subarray(match.index, readable.lastIndex)
      if (!masks.mayDetect(piece)) continue
      const result = masks.detectors(match[0])
      if (result.count === 0) continue
      if (match.index > shown) this.#options.emit(bytes.subarray(shown, match.index))
      this.#options.emit(Buffer.from(result.text, 'latin1'))
      this.#masked += result.count
      shown = readable.lastIndex
    }
    if (shown < bytes.length) this.#options.emit(shown === 0 ? bytes : bytes.subarray(shown))
  }

  #stopTimer(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }
}

const keyOpening = /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/g
const keyClosing = /-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----/g

/** Where a private key begins whose end isn't there. */
function openKey(bytes: Buffer): number | undefined {
  if (!bytes.includes('-----BEGIN ')) return undefined
  const text = bytes.toString('latin1')
  keyOpening.lastIndex = 0
  for (let match = keyOpening.exec(text); match !== null; match = keyOpening.exec(text)) {
    keyClosing.lastIndex = keyOpening.lastIndex
    if (keyClosing.exec(text) === null) return match.index
    keyOpening.lastIndex = keyClosing.lastIndex
  }
  return undefined
}

function endOfKey(bytes: Buffer): number | undefined {
  keyClosing.lastIndex = 0
  return keyClosing.exec(bytes.toString('latin1')) === null ? undefined : keyClosing.lastIndex
}

/** The last place up to `wanted` where cutting tears nothing apart that the detectors find in the whole. */
function safeCut(masks: CompiledMasks, text: string, wanted: number): number {
  for (let cut = wanted; cut > wanted / 2; cut -= 512) {
    const whole = masks.detectors(text).count
    if (masks.detectors(text.slice(0, cut)).count + masks.detectors(text.slice(cut)).count === whole) return cut
  }
  return wanted
}
