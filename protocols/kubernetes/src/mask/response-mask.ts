import { isUtf8 } from 'node:buffer'
import type { CompiledMasks } from '@sallyport/policy'
import type { Hint, ObjectContext } from './context.js'
import { ResponseMaskError } from './errors.js'
import { decodeText, fold } from './keys.js'
import { defaultMaskLimits, type MaskLimits } from './limits.js'
import { ObjectMasker } from './object-masker.js'
import { contextOf, isSecretResource, type RequestedResource } from './requested-resource.js'
import { factsOf } from './root-facts.js'
import { JsonScanner, type ScannerListener } from './scanner.js'
import { Tape } from './tape.js'

export interface ResponseMaskOptions {
  /** The masks that hold now: asked for every object, so that a changed policy takes effect inside a running watch. */
  masks(): CompiledMasks
  /** `watch`: frames after each other; `object`: one object, list or Table. */
  readonly shape: 'object' | 'watch'
  /** What objects are that don't say their kind. Without it, they may be Secrets. */
  readonly resource?: RequestedResource
  /** What may go out. The bytes may lie in the memory of the chunk that was pushed. */
  emit(bytes: Buffer): void
  readonly limits?: Partial<MaskLimits>
}

/**
 * Masks the JSON of one response of an API server, whose bytes come in any pieces: values of Secrets always, all else by
 * the policy's masks. Memory is bounded by one object ({@link MaskLimits}), however long the list. What isn't masked
 * passes byte by byte as it came. No part of an object is emitted before the whole object was seen.
 */
export class ResponseMask implements ScannerListener {
  /** Values that were replaced. */
  masked = 0
  /** Objects, rows and frames seen. */
  objects = 0
  /** Bytes taken in. */
  bytes = 0
  readonly #limits: MaskLimits
  readonly #scanner: JsonScanner
  readonly #secrets: boolean
  readonly #tokens: boolean
  #chunk: Buffer = Buffer.alloc(0)
  /** Up to here, this chunk has been emitted or kept. */
  #done = 0
  /** Where the object that is being read begins in this chunk. */
  #start = 0
  #inside = false
  #kept: Buffer[] = []
  #keptBytes = 0
  #state: 'open' | 'ended' | 'failed' = 'open'
  #roots = 0
  #pieces = 0
  /** Kind of the root object, once it was read. */
  #kind: string | undefined
  #columns: readonly string[] | undefined
  #form: 'object' | 'row' = 'object'
  readonly #arrays = new Set<string>()

  constructor(private readonly options: ResponseMaskOptions) {
    this.#limits = { ...defaultMaskLimits, ...options.limits }
    this.#scanner = new JsonScanner(this, this.#limits.depth)
    this.#secrets = isSecretResource(options.resource)
    this.#tokens = fold(options.resource?.subresource ?? '') === 'token'
  }

  /**
   * Takes the next bytes and emits what is complete.
   * @throws {ResponseMaskError} then nothing more is emitted, and the response must be cut
   */
  push(chunk: Buffer): void {
    this.#guarded(() => {
      this.bytes += chunk.length
      this.#chunk = chunk
      this.#done = 0
      this.#start = 0
      this.#scanner.scan(chunk)
      const end = this.#inside ? Math.max(this.#start, this.#done) : chunk.length
      this.#pass(end)
      if (!this.#inside) return
      this.#keep(chunk.subarray(end))
    })
  }

  /**
   * The response is complete.
   * @throws {ResponseMaskError} when it ends inside an object
   */
  end(): void {
    this.#guarded(() => {
      if (!this.#scanner.atRest || (this.options.shape === 'object' && this.#roots === 0)) throw new ResponseMaskError('truncated')
      this.#state = 'ended'
    })
  }

  rootStart(position: number): void {
    if (this.options.shape === 'object' && this.#roots > 0) throw new ResponseMaskError('malformed')
    this.#roots += 1
    this.#begin(position)
  }

  rootEnd(position: number): void {
    if (this.options.shape === 'watch')
      this.#finish(position, (bytes) => this.#element(bytes, 'frame', this.#secrets ? 'secret' : this.#unknown))
    else this.#finish(position, (bytes) => this.#envelope(bytes, true))
  }

  arrayStart(key: Uint8Array | undefined, position: number): boolean {
    if (this.options.shape === 'watch' || key === undefined) return false
    const name = keyName(key)
    if (name !== 'items' && name !== 'rows') return false
    // Of two arrays, parsers differ in which one they take.
    if (this.#arrays.has(name)) throw new ResponseMaskError('ambiguous')
    this.#arrays.add(name)
    this.#form = name === 'rows' ? 'row' : 'object'
    this.#finish(position, (bytes) => this.#envelope(bytes, false))
    return true
  }

  arrayEnd(position: number): void {
    this.#begin(position)
  }

  elementStart(position: number): void {
    this.#begin(position)
  }

  elementEnd(position: number): void {
    this.#finish(position, (bytes) => this.#element(bytes, this.#form, this.#ofElement()))
  }

  #guarded(run: () => void): void {
    if (this.#state !== 'open') throw new ResponseMaskError('malformed')
    try {
      run()
    } catch (error) {
      this.#state = 'failed'
      this.#kept = []
      this.#chunk = Buffer.alloc(0)
      throw error
    }
  }

  #begin(position: number): void {
    this.#inside = true
    this.#start = position
  }

  /** Everything up to here that isn't part of the object being read goes out as it came. */
  #pass(end: number): void {
    if (end > this.#done) this.options.emit(this.#chunk.subarray(this.#done, end))
    this.#done = end
  }

  #keep(bytes: Buffer): void {
    this.#keptBytes += bytes.length
    if (this.#keptBytes > this.#limits.elementBytes) throw new ResponseMaskError('too_large')
    // A copy: the chunk is the caller's, and a few bytes must not hold all of it.
    this.#kept.push(Buffer.from(bytes))
    this.#start = 0
    this.#done = this.#chunk.length
  }

  #finish(end: number, mask: (bytes: Buffer) => Buffer | undefined): void {
    const kept = this.#kept
    const here = this.#chunk.subarray(this.#start, end)
    if (this.#keptBytes + here.length > this.#limits.elementBytes) throw new ResponseMaskError('too_large')
    const whole = kept.length === 0 ? here : Buffer.concat([...kept, here])
    if (!isUtf8(whole)) throw new ResponseMaskError('not_utf8')
    const masked = mask(whole)
    this.#inside = false
    this.#kept = []
    this.#keptBytes = 0
    if (masked === undefined && kept.length === 0) return
    this.#pass(Math.max(this.#start, this.#done))
    this.options.emit(masked ?? whole)
    this.#done = end
  }

  get #unknown(): Hint {
    return this.options.resource === undefined ? 'doubt' : 'none'
  }

  #ofElement(): Hint {
    if (this.#secrets || this.#kind?.endsWith('secretlist') === true || this.#kind === 'secret') return 'secret'
    // Of a list whose kind comes after its items, elements that don't say theirs may be Secrets.
    if (this.#kind === undefined || this.#kind === 'list') return 'doubt'
    return this.#unknown
  }

  #element(bytes: Buffer, form: 'object' | 'row' | 'frame', hint: Hint): Buffer | undefined {
    this.objects += 1
    const masks = this.options.masks()
    if (hint === 'none' && !this.#tokens && !masks.hasDetectors && !masks.hasColumnMasks && !mayBeSecret(bytes)) return undefined
    return this.#count(ObjectMasker.mask(bytes, this.#context(masks), form, hint, this.#columns))
  }

  /**
   * A piece of the root object: all of it, or what is before, between and behind arrays whose elements went one by one.
   * For masking it is made a whole object again, the arrays empty.
   */
  #envelope(piece: Buffer, last: boolean): Buffer | undefined {
    const first = this.#pieces === 0
    const single = first && last
    this.#pieces += 1
    if (single) this.objects += 1
    const head = first ? '' : '{"":['
    const tail = last ? '' : ']}'
    const whole = head === '' && tail === '' ? piece : Buffer.concat([Buffer.from(head), piece, Buffer.from(tail)])
    const tape = Tape.of(whole, this.#limits.depth)
    const facts = factsOf(tape, 0)
    tape.release()
    if (facts.kinds.length > 1 || (facts.kinds.length > 0 && this.#kind !== undefined)) {
      // In one object at once, every kind it says is heeded; of a list that is on its way, it's too late for a second one.
      if (!single) throw new ResponseMaskError('ambiguous')
    }
    if (!first && facts.kinds.some((kind) => kind.endsWith('secret'))) throw new ResponseMaskError('ambiguous')
    this.#kind ??= facts.kinds[0]
    this.#columns ??= facts.columns
    const secret = this.#secrets || this.#kind?.endsWith('secretlist') === true || (this.#kind === 'secret' && !first)
    const hint: Hint = secret ? 'secret' : this.#kind === undefined && !single ? 'doubt' : this.#unknown
    const masked = this.#count(ObjectMasker.mask(whole, this.#context(this.options.masks()), 'object', hint))
    return masked?.subarray(head.length, masked.length - tail.length)
  }

  #count(result: { readonly bytes: Buffer | undefined; readonly count: number }): Buffer | undefined {
    this.masked += result.count
    return result.bytes
  }

  #context(masks: CompiledMasks): ObjectContext {
    return contextOf(masks, this.options.resource, this.#limits.depth)
  }
}

function keyName(key: Uint8Array): string {
  const bytes = Buffer.from(key)
  return isUtf8(bytes) ? fold(decodeText(bytes, 0, bytes.length)) : ''
}

/**
 * Without masks of a policy, whether an object may hold anything that is always masked: a Secret by its kind or type, in
 * the object, in JSON or YAML inside a string, or spelt with escapes; a token that was asked for.
 */
const secretSigns = new RegExp(
  [
    // The kind as a value; as a key (`"secret":{…}` of a volume) a colon follows.
    String.raw`"secret(?:list)?\\*"\s*[^\s:]`,
    String.raw`[a-z]secret(?:list)?\\*"\s*[^\s:]`,
    // YAML in a string.
    'kind[^a-z]{1,40}secret',
    'tokenre(?:quest|view)',
    'stringdata',
    // Anything spelt with escapes.
    String.raw`\\u`,
    // Types of Secrets.
    'opaque',
    String.raw`kubernetes\.io\/(?:tls|basic-auth|ssh-auth|dockerc|service-account-token|token)`,
    String.raw`helm\.sh\/release`,
  ].join('|'),
  'i',
)

function mayBeSecret(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at += 1) if ((bytes[at] ?? 0) >= 128) return true
  return secretSigns.test(bytes.toString('latin1'))
}
