/** Bits of {@link Features.bits}: which characters occur at all. */
export const has = {
  at: 1 << 0,
  dash: 1 << 1,
  underscore: 1 << 2,
  /** `=` or `:`. */
  assign: 1 << 3,
  dot: 1 << 4,
  tilde: 1 << 5,
  dollar: 1 << 6,
  upper: 1 << 7,
  /** Small letters g to z: hexadecimal text and UUIDs have none, and no token prefix is without one, an upper or a `_`. */
  afterF: 1 << 8,
  plus: 1 << 9,
  slash: 1 << 10,
  /** A blank, or anything beyond ASCII. */
  gap: 1 << 11,
} as const

const token = 1 << 12
const base64 = 1 << 13
const digit = 1 << 14
/** May stand between the digits of one number: blank, `.`, `-`, brackets, anything beyond ASCII (no-break space). */
const digitGap = 1 << 15

const classes = new Uint16Array(256)
function mark(characters: string, bits: number): void {
  for (const character of characters) {
    const code = character.charCodeAt(0)
    classes[code] = (classes[code] ?? 0) | bits
  }
}
mark('0123456789', digit | token | base64)
mark('abcdef', token | base64)
mark('ghijklmnopqrstuvwxyz', token | base64 | has.afterF)
mark('ABCDEFGHIJKLMNOPQRSTUVWXYZ', token | base64 | has.upper)
mark('-', token | has.dash | digitGap)
mark('_', token | has.underscore)
mark('+', base64 | has.plus)
mark('/', base64 | has.slash)
mark('=:', has.assign)
mark('.', has.dot | digitGap)
mark('~', has.tilde)
mark('$', has.dollar)
mark('@', has.at)
mark(' ', digitGap | has.gap)
mark('()', digitGap)
for (let code = 128; code < 256; code++) classes[code] = digitGap | has.gap

/**
 * What one pass over a value tells: enough to rule most detectors out without looking again. Every number only grows
 * when values are joined, so features of a whole row or chunk of bytes rule out what no cell in it can hold.
 */
export class Features {
  bits = 0
  length = 0
  /** Longest run of letters, digits, `_`, `-`. */
  tokenRun = 0
  /** Longest run of letters, digits, `+`, `/`. */
  base64Run = 0
  /** Most digits in a run of digits and gaps. */
  digitRun = 0
  digits = 0

  ofText(text: string): this {
    let bits = 0
    let tokenStart = 0
    let tokenRun = 0
    let base64Start = 0
    let base64Run = 0
    let run = 0
    let digitRun = 0
    let digits = 0
    const { length } = text
    for (let index = 0; index < length; index++) {
      const code = text.charCodeAt(index)
      const found = code < 256 ? (classes[code] ?? 0) : digitGap | has.gap
      bits |= found
      // Runs are measured where they end: inside a word there is nothing to do.
      if (!(found & token)) {
        if (index - tokenStart > tokenRun) tokenRun = index - tokenStart
        tokenStart = index + 1
      }
      if (!(found & base64)) {
        if (index - base64Start > base64Run) base64Run = index - base64Start
        base64Start = index + 1
      }
      if (found & digit) {
        digits++
        if (++run > digitRun) digitRun = run
      } else if (!(found & digitGap)) run = 0
    }
    return this.#set(bits, length, Math.max(tokenRun, length - tokenStart), Math.max(base64Run, length - base64Start), digitRun, digits)
  }

  /** The same over UTF-8 bytes, without making a string of them. */
  ofBytes(bytes: Uint8Array, start: number, end: number): this {
    let bits = 0
    let tokenStart = start
    let tokenRun = 0
    let base64Start = start
    let base64Run = 0
    let run = 0
    let digitRun = 0
    let digits = 0
    for (let index = start; index < end; index++) {
      const found = classes[bytes[index] ?? 0] ?? 0
      bits |= found
      // Runs are measured where they end: inside a word there is nothing to do.
      if (!(found & token)) {
        if (index - tokenStart > tokenRun) tokenRun = index - tokenStart
        tokenStart = index + 1
      }
      if (!(found & base64)) {
        if (index - base64Start > base64Run) base64Run = index - base64Start
        base64Start = index + 1
      }
      if (found & digit) {
        digits++
        if (++run > digitRun) digitRun = run
      } else if (!(found & digitGap)) run = 0
    }
    return this.#set(bits, end - start, Math.max(tokenRun, end - tokenStart), Math.max(base64Run, end - base64Start), digitRun, digits)
  }

  #set(bits: number, length: number, tokenRun: number, base64Run: number, digitRun: number, digits: number): this {
    this.bits = bits
    this.length = length
    this.tokenRun = tokenRun
    this.base64Run = base64Run
    this.digitRun = digitRun
    this.digits = digits
    return this
  }
}

/** The least that a value must have to hold something: all of the bits `all`, one of `any` (if any is given), and these sizes. */
export interface Needs {
  readonly all?: number
  readonly any?: number
  readonly length?: number
  readonly tokenRun?: number
  readonly base64Run?: number
  readonly digitRun?: number
  readonly digits?: number
}

const fields = 7

/** The needs of many detectors in one flat table, because this is asked for every value of a result. */
export class NeedsTable {
  readonly #table: Int32Array
  readonly #owners: Uint8Array

  /** @param needs per detector, its alternatives: meeting one is enough */
  constructor(needs: readonly (readonly Needs[])[]) {
    const rows = needs.flatMap((alternatives, owner) => alternatives.map((need) => ({ owner, need })))
    this.#owners = Uint8Array.from(rows, ({ owner }) => owner)
    this.#table = Int32Array.from(
      rows.flatMap(({ need }) => [
        need.all ?? 0,
        need.any ?? -1,
        need.length ?? 0,
        need.tokenRun ?? 0,
        need.base64Run ?? 0,
        need.digitRun ?? 0,
        need.digits ?? 0,
      ]),
    )
  }

  /** Bit per detector (31 at most) that the features don't rule out. */
  possible(features: Features): number {
    const table = this.#table
    let found = 0
    for (let row = 0, at = 0; row < this.#owners.length; row++, at += fields) {
      const all = table[at] ?? 0
      if (
        (features.bits & all) === all &&
        (table[at + 1] === -1 || (features.bits & (table[at + 1] ?? 0)) !== 0) &&
        features.length >= (table[at + 2] ?? 0) &&
        features.tokenRun >= (table[at + 3] ?? 0) &&
        features.base64Run >= (table[at + 4] ?? 0) &&
        features.digitRun >= (table[at + 5] ?? 0) &&
        features.digits >= (table[at + 6] ?? 0)
      ) {
        found |= 1 << (this.#owners[row] ?? 0)
      }
    }
    return found
  }
}
