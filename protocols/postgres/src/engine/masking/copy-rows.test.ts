import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { CopyInfo } from '../../analyse/index.js'
import { CopyRowReader } from './copy-rows.js'

const formats: CopyInfo[] = [
  { direction: 'out', format: 'text', delimiter: '\t', quote: '"', escape: '"', null: '\\N', header: false },
  { direction: 'out', format: 'text', delimiter: '|', quote: '"', escape: '"', null: 'NULL', header: false },
  { direction: 'out', format: 'csv', delimiter: ',', quote: '"', escape: '"', null: '', header: false },
  { direction: 'out', format: 'csv', delimiter: ';', quote: "'", escape: '\\', null: 'nil', header: false },
  { direction: 'out', format: 'binary', delimiter: '', quote: '', escape: '', null: '', header: false },
]

/** Values that mean something to one of the formats. */
const value = fc.option(
  fc.oneof(
    fc.string({ maxLength: 20 }).map((text) => text.replaceAll('\0', '')),
    fc.constantFrom('a,b', 'a|b', 'a\tb', 'line\nbreak', '\r\n', '"quoted"', "it's", '\\', '\\N', '\\.', 'NULL', '', ' ', ';', 'ü€𝄞', '\\x41', 'a\\'),
  ),
)

for (const copy of formats) {
  test(`P7 ${copy.format} ${copy.delimiter} rows are found and read back however the stream is cut`, () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(value, value, value), { minLength: 1, maxLength: 6 }), fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), (rows, cuts) => {
        const writer = new CopyRowReader(copy, 1_000_000)
        const header = Buffer.concat([Buffer.from('PGCOPY\n\xff\r\n\0', 'latin1'), Buffer.alloc(8)])
        const encoded = rows.map((row) => writer.encode(row.map((text) => (text === null ? null : Buffer.from(text)))))
        const stream = Buffer.concat([...(copy.format === 'binary' ? [header] : []), ...encoded])
        const reader = new CopyRowReader(copy, 1_000_000)
        const seen: (string | null)[][] = []
        let offset = 0
        for (let index = 0; offset < stream.length; index += 1) {
          const size = cuts[index % cuts.length] ?? 1
          for (const row of reader.push(Buffer.from(stream.subarray(offset, offset + size)))) {
            const fields = reader.fields(row)
            if (fields) seen.push(fields.map((field) => field?.toString('utf8') ?? null))
          }
          offset += size
        }
        expect(reader.end()).toBeUndefined()
        // As in PostgreSQL: in text format, a value that equals the NULL string can't be told from NULL.
        const told = copy.format === 'text' ? rows.map((row) => row.map((text) => (text === copy.null && !text.startsWith('\\') ? null : text))) : rows
        expect(seen).toEqual(told)
      }),
      { numRuns: 200 },
    )
  })
}

test('a row that never ends is refused at the cap', () => {
  const [text] = formats
  if (!text) throw new Error('no format')
  const reader = new CopyRowReader(text, 1000)
  expect(() => {
    for (let index = 0; index < 20; index += 1) reader.push(Buffer.alloc(100, 0x61))
  }).toThrow(/too large/)
})
