import type { CopyInfo } from '../../analyse/index.js'
import { ProtocolError } from '../../codec/index.js'

const newline = 0x0a
const backslash = 0x5c
/** Signature of the binary format (PostgreSQL: COPY, "Binary Format"). */
const binarySignature = Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1')

/** Cuts a COPY stream into rows and rows into values, by the rules of its format. */
export class CopyRowReader {
  readonly #copy: CopyInfo
  readonly #maxRow: number
  readonly #quote: number
  readonly #escape: number
  #pending: Buffer = Buffer.alloc(0)
  /** Bytes of `#pending` that were looked at, and whether a quoted CSV value is open there. */
  #scanned = 0
  #quoted = false
  #sawHeader = false

  constructor(copy: CopyInfo, maxRow: number) {
    this.#copy = copy
    this.#maxRow = maxRow
    this.#quote = copy.quote.charCodeAt(0)
    this.#escape = copy.escape.charCodeAt(0)
  }

  get binary(): boolean {
    return this.#copy.format === 'binary'
  }

  /** Whether `data`, coming next, is surely made of whole rows: cheaper to tell than to take it apart. */
  wholeRows(data: Buffer, from: number, to: number): boolean {
    if (this.#pending.length > 0 || to <= from || data[to - 1] !== newline) return false
    return this.#copy.format === 'text' || (this.#copy.format === 'csv' && !data.subarray(from, to).includes(this.#quote))
  }

  /** Whole rows, with their line ends. */
  push(data: Buffer): Buffer[] {
    if (this.#pending.length + data.length > this.#maxRow) throw new ProtocolError('a COPY row is too large to be masked', '54000')
    this.#pending = this.#pending.length === 0 ? data : Buffer.concat([this.#pending, data])
    const rows: Buffer[] = []
    for (;;) {
      const end = this.binary ? this.#binaryEnd() : this.#lineEnd()
      if (end < 0) return rows
      rows.push(this.#pending.subarray(0, end))
      this.#pending = this.#pending.subarray(end)
      this.#scanned = 0
    }
  }

  /** What is left without a line end. */
  end(): Buffer | undefined {
    const rest = this.#pending
    this.#pending = Buffer.alloc(0)
    if (this.binary && rest.length > 0) throw new ProtocolError('a COPY row is not whole')
    return rest.length > 0 ? rest : undefined
  }

  /** The values of a row, unescaped; null for NULL; undefined for what isn't a row. */
  fields(row: Buffer): (Buffer | null)[] | undefined {
    switch (this.#copy.format) {
      case 'binary':
        return this.#binaryFields(row)
      case 'csv':
        return this.#csvFields(row)
      case 'text':
        return this.#textFields(row)
    }
  }

  encode(values: readonly (Buffer | null)[]): Buffer {
    switch (this.#copy.format) {
      case 'binary':
        return encodeBinary(values)
      case 'csv':
        return Buffer.from(`${values.map((value) => this.#csvValue(value)).join(this.#copy.delimiter)}\n`, 'utf8')
      case 'text':
        return Buffer.from(`${values.map((value) => (value === null ? this.#copy.null : escapeText(value.toString('utf8'), this.#copy.delimiter))).join(this.#copy.delimiter)}\n`, 'utf8')
    }
  }

  #lineEnd(): number {
    const bytes = this.#pending
    if (this.#copy.format === 'text') {
      const at = bytes.indexOf(newline, this.#scanned)
      this.#scanned = at < 0 ? bytes.length : 0
      return at < 0 ? -1 : at + 1
    }
    for (let index = this.#scanned; index < bytes.length; index += 1) {
      const byte = bytes[index]
      if (this.#quoted && byte === this.#escape && this.#escape !== this.#quote) {
        // The escaped byte may come with the next message.
        if (index + 1 >= bytes.length) {
          this.#scanned = index
          return -1
        }
        index += 1
      } else if (byte === this.#quote) this.#quoted = !this.#quoted
      else if (byte === newline && !this.#quoted) return index + 1
    }
    this.#scanned = bytes.length
    return -1
  }

  #binaryEnd(): number {
    const bytes = this.#pending
    if (!this.#sawHeader) {
      if (bytes.length < 19) return -1
      if (!bytes.subarray(0, 11).equals(binarySignature)) throw new ProtocolError('binary COPY without its signature')
      const end = 19 + bytes.readUInt32BE(15)
      if (bytes.length < end) return -1
      this.#sawHeader = true
      return end
    }
    if (bytes.length < 2) return -1
    const count = bytes.readInt16BE(0)
    if (count === -1) return 2
    let offset = 2
    for (let index = 0; index < count; index += 1) {
      if (bytes.length < offset + 4) return -1
      const length = bytes.readInt32BE(offset)
      if (length < -1) throw new ProtocolError('invalid length in binary COPY')
      offset += 4 + Math.max(length, 0)
    }
    return bytes.length < offset ? -1 : offset
  }

  #binaryFields(row: Buffer): (Buffer | null)[] | undefined {
    if (row.length >= 11 && row.subarray(0, 11).equals(binarySignature)) return undefined
    const count = row.readInt16BE(0)
    if (count === -1) return undefined
    const values: (Buffer | null)[] = []
    let offset = 2
    for (let index = 0; index < count; index += 1) {
      const length = row.readInt32BE(offset)
      offset += 4
      values.push(length < 0 ? null : row.subarray(offset, offset + length))
      offset += Math.max(length, 0)
    }
    return values
  }

  #textFields(row: Buffer): (Buffer | null)[] | undefined {
    const line = withoutLineEnd(row)
    if (line.length === 2 && line[0] === backslash && line[1] === 0x2e) return undefined
    return splitText(line.toString('utf8'), this.#copy.delimiter).map((text) => (text === this.#copy.null ? null : Buffer.from(unescapeText(text), 'utf8')))
  }

  #csvFields(row: Buffer): (Buffer | null)[] {
    const text = withoutLineEnd(row).toString('utf8')
    const { delimiter, quote, escape } = this.#copy
    const values: (Buffer | null)[] = []
    let value = ''
    let wasQuoted = false
    let quoted = false
    const push = (): void => {
      values.push(!wasQuoted && value === this.#copy.null ? null : Buffer.from(value, 'utf8'))
      value = ''
      wasQuoted = false
    }
    for (let index = 0; index < text.length; index += 1) {
      const character = text.charAt(index)
      if (quoted) {
        const next = text.charAt(index + 1)
        if (character === escape && (next === quote || next === escape) && next !== '') {
          value += next
          index += 1
        } else if (character === quote) quoted = false
        else value += character
      } else if (character === quote) {
        quoted = true
        wasQuoted = true
      } else if (character === delimiter) push()
      else value += character
    }
    push()
    return values
  }

  #csvValue(value: Buffer | null): string {
    const { quote, escape } = this.#copy
    if (value === null) return this.#copy.null
    // Always quoted: then nothing in the value can be taken for a delimiter, a line end or NULL.
    const text = value.toString('utf8').replaceAll(escape, escape + escape)
    return quote + (quote === escape ? text : text.replaceAll(quote, escape + quote)) + quote
  }
}

function withoutLineEnd(row: Buffer): Buffer {
  let end = row.length
  if (end > 0 && row[end - 1] === newline) end -= 1
  if (end > 0 && row[end - 1] === 0x0d) end -= 1
  return row.subarray(0, end)
}

/** A delimiter behind a backslash belongs to the value. */
function splitText(line: string, delimiter: string): string[] {
  if (!line.includes('\\')) return line.split(delimiter)
  const fields: string[] = []
  let from = 0
  for (let index = 0; index < line.length; index += 1) {
    const character = line.charAt(index)
    if (character === '\\') index += 1
    else if (character === delimiter) {
      fields.push(line.slice(from, index))
      from = index + 1
    }
  }
  fields.push(line.slice(from))
  return fields
}

const textEscapes: { readonly [letter: string]: string } = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }

function unescapeText(text: string): string {
  if (!text.includes('\\')) return text
  return text.replace(/\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|(.))/gs, (_all, octal?: string, hex?: string, other?: string) => {
    if (octal !== undefined) return String.fromCharCode(Number.parseInt(octal, 8) & 0xff)
    if (hex !== undefined) return String.fromCharCode(Number.parseInt(hex, 16))
    return textEscapes[other ?? ''] ?? other ?? ''
  })
}

function escapeText(text: string, delimiter: string): string {
  let out = ''
  for (const character of text) {
    const letter = Object.keys(textEscapes).find((name) => textEscapes[name] === character)
    if (letter !== undefined) out += `\\${letter}`
    else out += character === '\\' || character === delimiter ? `\\${character}` : character
  }
  return out
}

function encodeBinary(values: readonly (Buffer | null)[]): Buffer {
  const parts: Buffer[] = []
  const head = Buffer.alloc(2)
  head.writeInt16BE(values.length)
  parts.push(head)
  for (const value of values) {
    const length = Buffer.alloc(4)
    length.writeInt32BE(value === null ? -1 : value.length)
    parts.push(length)
    if (value !== null) parts.push(value)
  }
  return Buffer.concat(parts)
}
