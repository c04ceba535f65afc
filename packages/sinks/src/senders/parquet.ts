import { parquetWriteBuffer } from 'hyparquet-writer'
import type { ShapedRecord } from '../shape.js'

/**
 * A batch as one Apache Parquet file (format version 2, Snappy): a row per event in the order of the log, with the columns that questions are asked
 * by, and the whole event in its shape as JSON text in `event`. `time` has milliseconds (UTC); what an event lacks is null.
 */
export function parquetFile(batch: readonly ShapedRecord[]): Buffer {
  const text = (of: (record: ShapedRecord) => string | undefined): (string | null)[] => batch.map((record) => of(record) ?? null)
  const file = parquetWriteBuffer({
    createdBy: 'sallyport',
    columnData: [
      { name: 'position', type: 'INT64', nullable: false, data: batch.map(({ position }) => position) },
      { name: 'time', type: 'TIMESTAMP', nullable: false, data: batch.map(({ millis }) => new Date(millis)) },
      { name: 'id', type: 'STRING', nullable: false, data: text(({ id }) => id) },
      { name: 'kind', type: 'STRING', nullable: false, data: text(({ kind }) => kind) },
      { name: 'session', type: 'STRING', data: text(({ session }) => session) },
      { name: 'who', type: 'STRING', data: text(({ who }) => who) },
      { name: 'target', type: 'STRING', data: text(({ target }) => target) },
      { name: 'decision', type: 'STRING', data: text(({ decision }) => decision) },
      // Text, not the JSON type: the writer would parse and print it anew, and it must stay as it was hashed.
      { name: 'event', type: 'STRING', nullable: false, data: text(({ json }) => json) },
    ],
  })
  return Buffer.from(file)
}
