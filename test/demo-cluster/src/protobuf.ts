import { child, textAt, type Json, type JsonObject } from './json.js'
import { ApiError } from './status.js'

export const protobufType = 'application/vnd.kubernetes.protobuf'

type Field = { readonly number: number; readonly bytes: Buffer }
type Shape = Readonly<Record<number, (object: JsonObject, bytes: Buffer) => void>>

const text = (name: string) => (object: JsonObject, bytes: Buffer): void => {
  object[name] = bytes.toString('utf8')
}
const within = (name: string, shape: Shape) => (object: JsonObject, bytes: Buffer): void => read(child(object, name), bytes, shape)
const entry = (name: string, value: (bytes: Buffer) => Json) => (object: JsonObject, bytes: Buffer): void => {
  const [key, inner] = [1, 2].map((number) => fieldsOf(bytes).find((field) => field.number === number)?.bytes ?? Buffer.alloc(0))
  child(object, name)[key?.toString('utf8') ?? ''] = value(inner ?? Buffer.alloc(0))
}
const asText = (bytes: Buffer): Json => bytes.toString('utf8')
const asBase64 = (bytes: Buffer): Json => bytes.toString('base64')

const metadata: Shape = { 1: text('name'), 2: text('generateName'), 3: text('namespace'), 11: entry('labels', asText), 12: entry('annotations', asText) }
/** Of the kinds that kubectl's generators send in protobuf, those that this stand-in takes. */
const shapes: Readonly<Record<string, Shape>> = {
  ConfigMap: { 1: within('metadata', metadata), 2: entry('data', asText), 3: entry('binaryData', asBase64) },
  Secret: { 1: within('metadata', metadata), 2: entry('data', asBase64), 3: text('type'), 4: entry('stringData', asText) },
  Namespace: { 1: within('metadata', metadata) },
  ServiceAccount: { 1: within('metadata', metadata) },
  SelfSubjectAccessReview: {},
  SelfSubjectRulesReview: {},
  SelfSubjectReview: {},
}

/** A body in Kubernetes' protobuf envelope (API concepts: "Kubernetes Protobuf encoding"). */
export function decodeProtobuf(bytes: Buffer): JsonObject {
  if (bytes.subarray(0, 4).toString('latin1') !== 'k8s\0') throw unsupported()
  const unknown: JsonObject = {}
  let raw: Buffer = Buffer.alloc(0)
  for (const { number, bytes: value } of fieldsOf(bytes.subarray(4))) {
    if (number === 1) read(unknown, value, { 1: text('apiVersion'), 2: text('kind') })
    else if (number === 2) raw = value
  }
  const shape = shapes[textAt(unknown, 'kind')]
  if (shape === undefined) throw unsupported()
  read(unknown, raw, shape)
  return unknown
}

function read(object: JsonObject, bytes: Buffer, shape: Shape): void {
  for (const field of fieldsOf(bytes)) shape[field.number]?.(object, field.bytes)
}

/** Length-delimited fields; numbers are left out. */
function fieldsOf(bytes: Buffer): Field[] {
  const fields: Field[] = []
  let offset = 0
  const varint = (): number => {
    let value = 0
    for (let shift = 0; shift < 63; shift += 7) {
      const byte = bytes[offset++] ?? 0
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) break
    }
    return value
  }
  while (offset < bytes.length) {
    const tag = varint()
    switch (tag & 7) {
      case 0:
        varint()
        break
      case 1:
        offset += 8
        break
      case 2: {
        const length = varint()
        fields.push({ number: tag >>> 3, bytes: bytes.subarray(offset, offset + length) })
        offset += length
        break
      }
      case 5:
        offset += 4
        break
      default:
        throw unsupported()
    }
  }
  return fields
}

function unsupported(): ApiError {
  return new ApiError(415, 'UnsupportedMediaType', 'this stand-in does not take this kind in protobuf')
}
