import type { ShapedRecord } from '../shape.js'

export const timeOfRecords = '2026-01-02T03:04:05.678901Z'

/** Records at these positions, shaped already. */
export const recordsAt = (...positions: readonly number[]): ShapedRecord[] =>
  positions.map((position) => ({
    position: BigInt(position),
    id: `0190aaaa-0000-7000-8000-${String(position).padStart(12, '0')}`,
    kind: 'command',
    time: timeOfRecords,
    millis: Date.parse(timeOfRecords),
    session: 's1',
    who: 'shop "ci"]\\',
    decision: 'allow',
    json: JSON.stringify({ position: String(position), text: 'SELECT 1 -- ünïcode\n' }),
  }))
