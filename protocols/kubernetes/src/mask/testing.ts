import { compileMasks, type CompiledMasks, type Mask, type MaskMethod } from '@sallyport/policy'
import { ResponseMask, type ResponseMaskOptions } from './response-mask.js'

const key = new Uint8Array(32).fill(7)

/** Masks of a policy, for tests. */
export function masksOf(...masks: readonly (Partial<Mask> & { readonly with?: MaskMethod })[]): CompiledMasks {
  return compileMasks(
    masks.map((mask, index) => ({ policy: 'p', index, with: 'redact', ...mask })),
    key,
  )
}

export const noMasks = masksOf()
export const secretMasks = masksOf({ detect: ['secrets'] })

export interface Ran {
  readonly text: string
  readonly masked: number
  readonly objects: number
  /** What `push` or `end` threw. */
  readonly error: unknown
}

/** One response through a mask, in pieces of the given sizes, the rest in one. */
export function run(input: string | Buffer, options: Partial<ResponseMaskOptions> = {}, sizes: readonly number[] = []): Ran {
  const bytes = typeof input === 'string' ? Buffer.from(input, 'utf8') : input
  const out: Buffer[] = []
  const mask = new ResponseMask({ masks: () => noMasks, shape: 'object', ...options, emit: (piece) => out.push(Buffer.from(piece)) })
  let error: unknown
  try {
    let at = 0
    for (const size of sizes) {
      mask.push(Buffer.from(bytes.subarray(at, at + size)))
      at += size
    }
    mask.push(Buffer.from(bytes.subarray(at)))
    mask.end()
  } catch (thrown) {
    error = thrown
  }
  return { text: Buffer.concat(out).toString('utf8'), masked: mask.masked, objects: mask.objects, error }
}

export const ofSecrets = { resource: { group: '', resource: 'secrets' } } as const
export const ofPods = { resource: { group: '', resource: 'pods' } } as const
export const ofConfigMaps = { resource: { group: '', resource: 'configmaps' } } as const
