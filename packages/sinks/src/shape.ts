import type { SinkMask, SinkShape } from '@sallyport/policy'
import { maskEvent, mustMask, type MaskKeys } from './masking.js'
import { millisOf, readEvent, textOf, timeOf, type StoredEvent } from './record.js'
import { ecs } from './shapes/ecs.js'
import { native, nativeVerbatim } from './shapes/native.js'
import { ocsf } from './shapes/ocsf/ocsf.js'
import { verdictOf } from './outcome.js'

/** An event as a sender takes it: the JSON text that the receiver gets, and the little that envelopes are made of. */
export interface ShapedRecord {
  readonly position: bigint
  /** The event's own id: receivers recognise a repeated delivery by it. */
  readonly id: string
  readonly kind: string
  /** RFC 3339. */
  readonly time: string
  readonly millis: number
  readonly session?: string
  readonly who?: string
  readonly target?: string
  readonly decision?: string
  readonly json: string
}

export interface Shaping {
  readonly shape: SinkShape
  readonly mask: SinkMask
  readonly keys: MaskKeys
}

/** Masks, then shapes. @throws when the stored text isn't an event */
export function shapeEvent(stored: StoredEvent, { shape, mask, keys }: Shaping): ShapedRecord {
  const read = maskEvent(readEvent(stored), mask, keys)
  const decision = verdictOf(read.event) ?? textOf(read.event['verdict'])
  const [session, who, target] = [textOf(read.head['session']), textOf(read.head['who']), textOf(read.head['target'])]
  const own = mustMask(mask) ? undefined : nativeVerbatim(stored)
  return {
    position: read.position, id: read.id, kind: read.kind, time: timeOf(read), millis: millisOf(read),
    ...(session === undefined ? {} : { session }), ...(who === undefined ? {} : { who }), ...(target === undefined ? {} : { target }), ...(decision === undefined ? {} : { decision }),
    json: jsonOf(),
  }

  function jsonOf(): string {
    const nativeText = (): string => own ?? JSON.stringify(native(read))
    switch (shape) {
      case 'native':
        return nativeText()
      case 'ocsf':
        return JSON.stringify(ocsf(read))
      case 'ecs':
        return JSON.stringify(ecs(read, nativeText()))
    }
  }
}
