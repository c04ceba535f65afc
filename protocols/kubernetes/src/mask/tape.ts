import { ResponseMaskError } from './errors.js'
import { decodeText, keyIdOfBytes } from './keys.js'
import { maxNesting } from './limits.js'

/** What a value is. */
export const Token = {
  Object: 0,
  Array: 1,
  Text: 2,
  /** A string with a backslash in it. */
  Escaped: 3,
  /** A number, true, false, null. */
  Other: 4,
} as const

/** Tapes that were used up: making new ones for every object of a long list costs more than reading it. */
const spare: Tape[] = []
const maxSpare = maxNesting
const maxSpareValues = 1 << 16

/**
 * Where every value of one JSON text stands: so that single values can be replaced and all other bytes stay as they were,
 * numbers that JavaScript can't hold among them. Values are numbered in order of their beginnings; an object's are its keys
 * and values by turns.
 */
export class Tape {
  count = 0
  #kinds = new Uint8Array(256)
  #starts = new Int32Array(256)
  #ends = new Int32Array(256)
  #next = new Int32Array(256)
  #ids = new Uint8Array(256)

  bytes: Buffer = Buffer.alloc(0)

  private constructor() {}

  /**
   * @param bytes one JSON text, valid UTF-8
   * @throws {ResponseMaskError}
   */
  static of(bytes: Buffer, maxDepth: number): Tape {
    const tape = spare.pop() ?? new Tape()
    tape.bytes = bytes
    tape.count = 0
    const end = tape.#blank(tape.#value(tape.#blank(0), maxDepth))
    if (end !== bytes.length) throw new ResponseMaskError('malformed')
    return tape
  }

  /** Gives its memory to the next tape. It must not be used afterwards. */
  release(): void {
    this.bytes = Buffer.alloc(0)
    if (spare.length < maxSpare && this.#kinds.length <= maxSpareValues) spare.push(this)
  }

  kind(index: number): number {
    return this.#kinds[index] ?? Token.Other
  }

  isText(index: number): boolean {
    const kind = this.#kinds[index]
    return kind === Token.Text || kind === Token.Escaped
  }

  /** Offset of the value's first byte, for a string its quote. */
  start(index: number): number {
    return this.#starts[index] ?? 0
  }

  end(index: number): number {
    return this.#ends[index] ?? 0
  }

  /** The value after this one and all inside it. */
  next(index: number): number {
    return this.#next[index] ?? this.count
  }

  /** For a key, which of the known keys it is; see {@link idOf}. */
  id(index: number): number {
    return this.#ids[index] ?? 0
  }

  /** A string's text; of any other value, its JSON. */
  text(index: number): string {
    const start = this.start(index)
    const end = this.end(index)
    if (this.kind(index) === Token.Text) return this.bytes.toString('utf8', start + 1, end - 1)
    return this.kind(index) === Token.Escaped ? decodeText(this.bytes, start + 1, end - 1) : this.bytes.toString('utf8', start, end)
  }

  #add(kind: number, start: number): number {
    const index = this.count
    if (index === this.#kinds.length) this.#grow()
    this.#kinds[index] = kind
    this.#starts[index] = start
    this.count = index + 1
    return index
  }

  #grow(): void {
    const grown = <T extends Uint8Array | Int32Array>(to: T, from: T): T => {
      to.set(from)
      return to
    }
    const size = this.#kinds.length * 2
    this.#kinds = grown(new Uint8Array(size), this.#kinds)
    this.#ids = grown(new Uint8Array(size), this.#ids)
    this.#starts = grown(new Int32Array(size), this.#starts)
    this.#ends = grown(new Int32Array(size), this.#ends)
    this.#next = grown(new Int32Array(size), this.#next)
  }

  #done(index: number, end: number): number {
    this.#ends[index] = end
    this.#next[index] = this.count
    return end
  }

  #blank(at: number): number {
    const { bytes } = this
    for (;;) {
      const byte = bytes[at]
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return at
      at += 1
    }
  }

  #value(at: number, depth: number): number {
    const byte = this.bytes[at]
    if (byte === 34) return this.#string(at)
    if (byte === 0x7b || byte === 0x5b) {
      if (depth === 0) throw new ResponseMaskError('too_deep')
      return byte === 0x7b ? this.#object(at, depth - 1) : this.#array(at, depth - 1)
    }
    return this.#other(at)
  }

  #object(start: number, depth: number): number {
    const index = this.#add(Token.Object, start)
    let at = this.#blank(start + 1)
    if (this.bytes[at] === 0x7d) return this.#done(index, at + 1)
    for (;;) {
      if (this.bytes[at] !== 34) throw new ResponseMaskError('malformed')
      const key = this.count
      const keyEnd = this.#string(at)
      this.#ids[key] = keyIdOfBytes(this.bytes, at + 1, keyEnd - 1, this.#kinds[key] === Token.Escaped)
      at = this.#blank(keyEnd)
      if (this.bytes[at] !== 0x3a) throw new ResponseMaskError('malformed')
      at = this.#blank(this.#value(this.#blank(at + 1), depth))
      const byte = this.bytes[at]
      if (byte === 0x7d) return this.#done(index, at + 1)
      if (byte !== 0x2c) throw new ResponseMaskError('malformed')
      at = this.#blank(at + 1)
    }
  }

  #array(start: number, depth: number): number {
    const index = this.#add(Token.Array, start)
    let at = this.#blank(start + 1)
    if (this.bytes[at] === 0x5d) return this.#done(index, at + 1)
    for (;;) {
      at = this.#blank(this.#value(at, depth))
      const byte = this.bytes[at]
      if (byte === 0x5d) return this.#done(index, at + 1)
      if (byte !== 0x2c) throw new ResponseMaskError('malformed')
      at = this.#blank(at + 1)
    }
  }

  #string(start: number): number {
    const { bytes } = this
    const index = this.#add(Token.Text, start)
    let at = start + 1
    for (;;) {
      const byte = bytes[at]
      if (byte === 34) return this.#done(index, at + 1)
      if (byte === undefined || byte < 32) throw new ResponseMaskError('malformed')
      if (byte === 92) {
        this.#kinds[index] = Token.Escaped
        at += this.#escape(at)
      } else at += 1
    }
  }

  /** Length of the escape that begins here. */
  #escape(at: number): number {
    const byte = this.bytes[at + 1] ?? 0
    if (byte !== 0x75) {
      if (!'"\\/bfnrt'.includes(String.fromCharCode(byte))) throw new ResponseMaskError('malformed')
      return 2
    }
    if (!/^[0-9A-Fa-f]{4}$/.test(this.bytes.toString('latin1', at + 2, at + 6))) throw new ResponseMaskError('malformed')
    return 6
  }

  #other(start: number): number {
    const { bytes } = this
    const index = this.#add(Token.Other, start)
    let at = start
    // Most are small numbers, and they need no string.
    const first = bytes[start] ?? 0
    if (first > 0x30 && first <= 0x39) {
      while ((bytes[at] ?? 0) >= 0x30 && (bytes[at] ?? 0) <= 0x39) at += 1
      if (endsValue(bytes[at])) return this.#done(index, at)
    }
    for (;;) {
      const byte = bytes[at]
      // Letters, digits, sign and point: what numbers and literals are made of.
      if (
        byte === undefined ||
        !((byte >= 0x30 && byte <= 0x39) || ((byte | 32) >= 0x61 && (byte | 32) <= 0x7a) || byte === 0x2d || byte === 0x2b || byte === 0x2e)
      )
        break
      at += 1
    }
    if (!isOther(bytes.toString('latin1', start, at))) throw new ResponseMaskError('malformed')
    return this.#done(index, at)
  }
}

/** Comma, closing bracket or brace. */
function endsValue(byte: number | undefined): boolean {
  return byte === 0x2c || byte === 0x5d || byte === 0x7d
}

function isOther(text: string): boolean {
  return text === 'true' || text === 'false' || text === 'null' || /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/.test(text)
}
