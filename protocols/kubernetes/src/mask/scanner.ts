import { ResponseMaskError } from './errors.js'

/** Told of the outer structure only: the root object, its members, and the elements of an array that was asked for. */
export interface ScannerListener {
  rootStart(position: number): void
  /** @param position after the closing brace */
  rootEnd(position: number): void
  /**
   * An array is the value of a member of the root object.
   * @param key the key's bytes as they stand between its quotes; undefined when it is longer than any that matters
   * @param position after the opening bracket
   * @returns whether its elements are wanted one by one
   */
  arrayStart(key: Uint8Array | undefined, position: number): boolean
  /** @param position of the closing bracket of an array whose elements were wanted */
  arrayEnd(position: number): void
  elementStart(position: number): void
  elementEnd(position: number): void
}

const enum State {
  Value,
  ArrayFirst,
  ObjectFirst,
  Key,
  Colon,
  After,
  Text,
  KeyText,
  Escape,
  Unicode,
  Minus,
  Zero,
  Integer,
  Dot,
  Fraction,
  Exponent,
  ExponentSign,
  ExponentDigits,
  Literal,
  Root,
}

/** Bytes that end the plain run inside a string: the quote, the backslash, and what must not stand there (RFC 8259 section 7). */
const special = new Uint8Array(256)
special.fill(1, 0, 32)
special[34] = 1
special[92] = 1

const literals = new Map([
  [0x74, Buffer.from('rue')],
  [0x66, Buffer.from('alse')],
  [0x6e, Buffer.from('ull')],
])

/** `items`, every letter written as `\u0069`, has 30 bytes. */
const maxKey = 64

/**
 * Reads JSON objects, one or several after each other, whose bytes come in any pieces; strictly RFC 8259, without making
 * values. What it passes is what every parser reads alike, but for duplicate keys.
 */
export class JsonScanner {
  #state: State = State.Root
  /** What to go back to at the end of a string's escape. */
  #inKey = false
  #hexLeft = 0
  #literal = Buffer.alloc(0)
  #literalAt = 0
  #depth = 0
  readonly #isArray: Uint8Array
  #key: number[] | undefined = []
  #wanted = false

  constructor(
    private readonly listener: ScannerListener,
    private readonly maxDepth: number,
  ) {
    this.#isArray = new Uint8Array(maxDepth + 1)
  }

  /** Whether the input so far ends between two root objects. */
  get atRest(): boolean {
    return this.#state === State.Root
  }

  /** @throws {ResponseMaskError} */
  scan(bytes: Uint8Array): void {
    const { length } = bytes
    let state = this.#state
    for (let at = 0; at < length; at += 1) {
      const byte = bytes[at] ?? 0
      switch (state) {
        case State.Text:
        case State.KeyText: {
          const start = at
          while (at < length && special[bytes[at] ?? 0] === 0) at += 1
          if (state === State.KeyText && this.#depth === 1) this.#keep(bytes, start, at)
          if (at === length) break
          const end = bytes[at]
          if (end === 34) {
            if (state === State.KeyText) state = State.Colon
            else {
              state = State.After
              if (this.#wanted && this.#depth === 2) this.listener.elementEnd(at + 1)
            }
          } else if (end === 92) {
            this.#inKey = state === State.KeyText
            if (this.#inKey && this.#depth === 1) this.#keep(bytes, at, at + 1)
            state = State.Escape
          } else throw new ResponseMaskError('malformed')
          break
        }
        case State.Escape:
          if (this.#inKey && this.#depth === 1) this.#keep(bytes, at, at + 1)
          if (byte === 0x75) {
            this.#hexLeft = 4
            state = State.Unicode
          } else if (
            byte === 34 ||
            byte === 92 ||
            byte === 47 ||
            byte === 0x62 ||
            byte === 0x66 ||
            byte === 0x6e ||
            byte === 0x72 ||
            byte === 0x74
          )
            state = this.#inKey ? State.KeyText : State.Text
          else throw new ResponseMaskError('malformed')
          break
        case State.Unicode:
          if (this.#inKey && this.#depth === 1) this.#keep(bytes, at, at + 1)
          if (!isHex(byte)) throw new ResponseMaskError('malformed')
          this.#hexLeft -= 1
          if (this.#hexLeft === 0) state = this.#inKey ? State.KeyText : State.Text
          break
        case State.Literal:
          if (byte !== this.#literal[this.#literalAt]) throw new ResponseMaskError('malformed')
          this.#literalAt += 1
          if (this.#literalAt === this.#literal.length) {
            state = State.After
            if (this.#wanted && this.#depth === 2) this.listener.elementEnd(at + 1)
          }
          break
        case State.Minus:
        case State.Zero:
        case State.Integer:
        case State.Dot:
        case State.Fraction:
        case State.Exponent:
        case State.ExponentSign:
        case State.ExponentDigits:
          state = numberState(state, byte)
          if (state === State.After) {
            if (this.#wanted && this.#depth === 2) this.listener.elementEnd(at)
            // The byte behind a number belongs to what comes after it.
            state = this.#structure(State.After, byte, at)
          }
          break
        default:
          if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) break
          state = this.#structure(state, byte, at)
      }
    }
    this.#state = state
  }

  #structure(state: State, byte: number, at: number): State {
    if (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) return state
    switch (state) {
      case State.After:
        return this.#after(byte, at)
      case State.Colon:
        if (byte === 0x3a) return State.Value
        break
      case State.ObjectFirst:
        if (byte === 0x7d) return this.#close(false, at)
        return this.#keyStart(byte)
      case State.Key:
        return this.#keyStart(byte)
      case State.ArrayFirst:
        if (byte === 0x5d) return this.#close(true, at)
        return this.#value(byte, at)
      case State.Value:
        return this.#value(byte, at)
      case State.Root:
        if (byte === 0x7b) {
          this.listener.rootStart(at)
          return this.#open(false)
        }
        break
      default:
    }
    throw new ResponseMaskError('malformed')
  }

  #keyStart(byte: number): State {
    if (byte !== 34) throw new ResponseMaskError('malformed')
    if (this.#depth === 1) this.#key = []
    return State.KeyText
  }

  #keep(bytes: Uint8Array, start: number, end: number): void {
    if (this.#key === undefined) return
    if (this.#key.length + end - start > maxKey) this.#key = undefined
    else for (let at = start; at < end; at += 1) this.#key.push(bytes[at] ?? 0)
  }

  #value(byte: number, at: number): State {
    const element = this.#wanted && this.#depth === 2
    if (element) this.listener.elementStart(at)
    if (byte === 34) return State.Text
    if (byte === 0x7b) return this.#open(false)
    if (byte === 0x5b) {
      const ofRoot = this.#depth === 1
      const state = this.#open(true)
      if (ofRoot) this.#wanted = this.listener.arrayStart(this.#key && Uint8Array.from(this.#key), at + 1)
      return state
    }
    if (byte === 0x2d) return State.Minus
    if (byte === 0x30) return State.Zero
    if (byte > 0x30 && byte <= 0x39) return State.Integer
    const literal = literals.get(byte)
    if (!literal) throw new ResponseMaskError('malformed')
    this.#literal = literal
    this.#literalAt = 0
    return State.Literal
  }

  #open(array: boolean): State {
    if (this.#depth >= this.maxDepth) throw new ResponseMaskError('too_deep')
    this.#depth += 1
    this.#isArray[this.#depth] = array ? 1 : 0
    return array ? State.ArrayFirst : State.ObjectFirst
  }

  #after(byte: number, at: number): State {
    const array = this.#isArray[this.#depth] === 1
    if (byte === 0x2c) return array ? State.Value : State.Key
    if (byte === 0x7d && !array) return this.#close(false, at)
    if (byte === 0x5d && array) return this.#close(true, at)
    throw new ResponseMaskError('malformed')
  }

  #close(array: boolean, at: number): State {
    if (array && this.#wanted && this.#depth === 2) {
      this.#wanted = false
      this.listener.arrayEnd(at)
    }
    this.#depth -= 1
    if (this.#depth === 0) {
      this.listener.rootEnd(at + 1)
      return State.Root
    }
    if (this.#wanted && this.#depth === 2) this.listener.elementEnd(at + 1)
    return State.After
  }
}

function isHex(byte: number): boolean {
  return (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x46) || (byte >= 0x61 && byte <= 0x66)
}

/** `After` when the number has ended before this byte. */
function numberState(state: State, byte: number): State {
  const digit = byte >= 0x30 && byte <= 0x39
  switch (state) {
    case State.Minus:
      if (digit) return byte === 0x30 ? State.Zero : State.Integer
      break
    case State.Zero:
    case State.Integer:
      if (digit && state === State.Integer) return State.Integer
      if (digit) break
      if (byte === 0x2e) return State.Dot
      return byte === 0x65 || byte === 0x45 ? State.Exponent : State.After
    case State.Dot:
      if (digit) return State.Fraction
      break
    case State.Fraction:
      if (digit) return State.Fraction
      return byte === 0x65 || byte === 0x45 ? State.Exponent : State.After
    case State.Exponent:
      if (digit) return State.ExponentDigits
      if (byte === 0x2b || byte === 0x2d) return State.ExponentSign
      break
    case State.ExponentSign:
      if (digit) return State.ExponentDigits
      break
    case State.ExponentDigits:
      return digit ? State.ExponentDigits : State.After
    default:
  }
  throw new ResponseMaskError('malformed')
}
