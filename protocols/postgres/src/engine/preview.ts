import type { ResultPreview } from '@sallyport/kit'
import type { FieldDescription } from '../codec/index.js'

const maxCellCharacters = 256

/** Collects the masked beginning of a result for replay, up to a cap. */
export class Preview {
  readonly #rows: (string | null)[][] = []
  #columns: readonly FieldDescription[] = []
  #formats: readonly number[] = []
  #room: number
  #truncated = false

  constructor(maxBytes: number) {
    this.#room = maxBytes
  }

  describe(columns: readonly FieldDescription[], formats: readonly number[] | undefined): void {
    this.#columns = columns
    this.#formats = columns.map((column, index) => (formats === undefined ? column.format : ((formats.length === 1 ? formats[0] : formats[index]) ?? 0)))
  }

  /** False when it takes no more rows. */
  get open(): boolean {
    return this.#room > 0
  }

  /** A whole, already masked DataRow message: `buffer[start, end)`. */
  row(buffer: Buffer, start: number, end: number): void {
    if (this.#room <= 0) {
      this.#truncated = true
      return
    }
    const count = buffer.readUInt16BE(start + 5)
    const cells: (string | null)[] = []
    let offset = start + 7
    for (let index = 0; index < count && offset + 4 <= end; index += 1) {
      const length = buffer.readInt32BE(offset)
      offset += 4
      if (length < 0) {
        cells.push(null)
        continue
      }
      cells.push(this.#cell(buffer.subarray(offset, Math.min(offset + length, end)), index))
      offset += length
    }
    this.#rows.push(cells)
  }

  /** Text that isn't rows, such as COPY lines. */
  line(text: string): void {
    if (this.#room <= 0) {
      this.#truncated = true
      return
    }
    this.#room -= text.length + 8
    this.#rows.push([text.slice(0, maxCellCharacters)])
  }

  skipped(): void {
    this.#truncated = true
  }

  finish(): ResultPreview | undefined {
    if (this.#rows.length === 0) return undefined
    return { columns: this.#columns.map((column) => column.name), rows: this.#rows, truncated: this.#truncated }
  }

  #cell(bytes: Buffer, index: number): string {
    const text = this.#formats[index] === 1 ? binaryText(bytes, this.#columns[index]?.typeOid ?? 0) : bytes.toString('utf8', 0, maxCellCharacters * 2)
    this.#room -= text.length + 8
    if (text.length <= maxCellCharacters) return text
    this.#truncated = true
    return `${text.slice(0, maxCellCharacters)}…`
  }
}

/** Readable form of common binary values (type OIDs: pg_type.dat); hex for the rest. */
function binaryText(bytes: Buffer, typeOid: number): string {
  if (typeOid === 23 && bytes.length === 4) return String(bytes.readInt32BE())
  if (typeOid === 20 && bytes.length === 8) return String(bytes.readBigInt64BE())
  if (typeOid === 21 && bytes.length === 2) return String(bytes.readInt16BE())
  if (typeOid === 16 && bytes.length === 1) return bytes[0] === 1 ? 't' : 'f'
  if (typeOid === 25 || typeOid === 1043 || typeOid === 1042 || typeOid === 19) return bytes.toString('utf8', 0, maxCellCharacters * 2)
  return `\\x${bytes.toString('hex', 0, maxCellCharacters)}`
}
