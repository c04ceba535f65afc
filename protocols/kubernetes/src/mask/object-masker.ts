import { quoteSegment, redacted, type ColumnMask, type CompiledMasks } from '@sallyport/policy'
import { unknownOrigin, type Hint, type ObjectContext, type Origin } from './context.js'
import { ResponseMaskError } from './errors.js'
import { fold } from './keys.js'
import { bookkeeping, id, openInSecret, references, selectors, structural } from './known-keys.js'
import { maxComparisons, maxNesting } from './limits.js'
import { base64Sentinel, textSentinel } from './sentinel.js'
import { factsOf } from './root-facts.js'
import { TapeEditor } from './tape-editor.js'
import { Tape, Token } from './tape.js'
import {
  holdsYamlSecret,
  isIdentifier,
  isLabelValue,
  repeatsSecret,
  isSecretCell,
  isSecretType,
  isTimeOrUid,
  keepsApplied,
  mayHoldSecret,
  withoutQuotedValue,
} from './texts.js'

export interface Masked {
  /** Undefined when nothing was masked. */
  readonly bytes: Buffer | undefined
  /** Values replaced. */
  readonly count: number
}

/** Masks one JSON text whose bytes are valid UTF-8. One instance for each text. */
export class ObjectMasker extends TapeEditor {
  readonly #masks: CompiledMasks
  #origin: Origin
  #tokens: boolean
  /** Whether the first object, the one that was asked for, has been begun. */
  #entered = false
  /** Values of the Secret that is being masked: nothing beside them may repeat them. */
  #planted: readonly string[] = []

  private constructor(
    bytes: Buffer,
    private readonly context: ObjectContext,
    private readonly nesting: number,
  ) {
    super(Tape.of(bytes, context.maxDepth))
    this.#masks = context.masks
    this.#origin = context.origin
    this.#tokens = context.tokens
  }

  /**
   * @param form what the text is: an object, a row of a Table, or a frame of a watch
   * @param columns of the Table; undefined when they aren't known
   * @throws {ResponseMaskError}
   */
  static mask(bytes: Buffer, context: ObjectContext, form: 'object' | 'row' | 'frame', hint: Hint, columns?: readonly string[]): Masked {
    const masker = new ObjectMasker(bytes, context, 0)
    if (form === 'row') masker.#row(0, hint, columns)
    else if (form === 'frame') masker.#frame(hint)
    else masker.#value(0, hint)
    return masker.#result()
  }

  #result(): Masked {
    const bytes = this.edits.apply(this.tape.bytes)
    this.tape.release()
    return { bytes, count: this.edits.count }
  }

  #value(index: number, hint: Hint): void {
    const tape = this.tape
    switch (tape.kind(index)) {
      case Token.Object:
        this.#object(index, hint)
        break
      case Token.Array:
        this.children(index, (child) => this.#value(child, hint === 'secret' ? hint : 'none'))
        break
      case Token.Text:
      case Token.Escaped:
        if (hint === 'secret') this.leaf(index, textSentinel)
        else this.#text(index)
        break
      case Token.Other:
        if (hint === 'secret') this.leaf(index, textSentinel)
    }
  }

  /** `{"type":"ADDED","object":…}`: the type is no Secret's. */
  #frame(hint: Hint): void {
    this.members(0, (value, _key, keyId) => {
      if (keyId !== id.type || !this.tape.isText(value)) this.#value(value, hint)
    })
  }

  #object(index: number, hint: Hint): void {
    const kinds = this.texts(index, id.kind).map(fold)
    if (kinds.includes('table') && !kinds.includes('secret')) return this.#table(index, hint)
    if (kinds.includes('status') && !kinds.includes('secret')) return this.#status(index, hint)
    const list = kinds.find((kind) => kind.endsWith('list'))
    const outer = this.#origin
    const outerTokens = this.#tokens
    if (this.#masks.hasColumnMasks && (kinds.length > 0 || !this.#entered)) this.#origin = this.#originOf(index)
    this.#entered = true
    if (kinds.some((kind) => kind === 'tokenrequest' || kind === 'tokenreview')) this.#tokens = true
    const secrecy = this.#secrecy(index, kinds, hint)
    if (secrecy === 'strict') this.#secret(index)
    else {
      const ofItems: Hint = kinds.some((kind) => kind.endsWith('secretlist'))
        ? 'secret'
        : list === 'list' || hint === 'doubt'
          ? 'doubt'
          : 'none'
      this.members(index, (value, _key, keyId) => {
        if (secrecy === 'loose' && (keyId === id.data || keyId === id.stringData))
          this.leaves(value, keyId === id.data ? base64Sentinel : textSentinel)
        else if (keyId === id.items && list !== undefined && this.tape.kind(value) === Token.Array)
          this.children(value, (child) => this.#value(child, ofItems))
        else this.#member(value, keyId, secrecy !== 'none')
      })
    }
    this.#origin = outer
    this.#tokens = outerTokens
  }

  #secrecy(index: number, kinds: readonly string[], hint: Hint): 'none' | 'loose' | 'strict' {
    if (hint === 'secret') return 'strict'
    let holds = false
    let metadata = false
    this.members(index, (_value, _key, keyId) => {
      holds ||= keyId === id.data || keyId === id.stringData
      metadata ||= keyId === id.metadata
    })
    // Without either it is a reference to a Secret: `{"kind":"Secret","name":"tls"}`.
    if (kinds.includes('secret')) {
      const versions = this.texts(index, id.apiVersion)
      if (!holds && !metadata) return 'none'
      return versions.length === 0 || versions.includes('v1') ? 'strict' : 'loose'
    }
    if (!holds) return 'none'
    if (kinds.some((kind) => kind.endsWith('secret'))) return 'loose'
    if (kinds.length === 0 && (hint === 'doubt' || this.texts(index, id.type).some(isSecretType))) return 'loose'
    return 'none'
  }

  /** Everything in it is a value, but for what a Secret is known to have beside its values. */
  #secret(index: number): void {
    const outer = this.#planted
    this.#planted = [...outer, ...this.#valuesOf(index)]
    this.members(index, (value, _key, keyId) => {
      if (keyId === id.metadata) this.#metadata(value, true)
      else if (keyId === id.items || keyId === id.rows || keyId === id.object) this.#value(value, 'secret')
      else if (keyId === id.data || keyId === id.binaryData) this.leaves(value, base64Sentinel)
      else if (!openInSecret.has(keyId) || this.isContainer(value)) this.leaves(value, textSentinel)
    })
    this.#planted = outer
  }

  /** The values of a Secret, as they stand and decoded; of a length that doesn't occur elsewhere by chance. */
  #valuesOf(index: number): string[] {
    const values: string[] = []
    const collect = (value: number): void => {
      if (this.tape.kind(value) === Token.Object) this.members(value, collect)
      else if (this.tape.isText(value)) {
        const text = this.tape.text(value)
        values.push(text, Buffer.from(text, 'base64').toString('utf8'))
      }
    }
    this.members(index, (value, _key, keyId) => {
      if (keyId === id.data || keyId === id.stringData) collect(value)
    })
    return values.filter((value) => value.length >= 8)
  }

  /** A member of any object that isn't a Secret. */
  #member(value: number, keyId: number, secret: boolean): void {
    const tape = this.tape
    if (keyId === 0) return this.#value(value, 'none')
    const object = tape.kind(value) === Token.Object
    if (keyId === id.metadata && object) this.#metadata(value, secret)
    else if (keyId === id.annotations && object) this.#annotations(value, secret)
    else if ((keyId === id.data || keyId === id.binaryData) && object) this.#map(value, keyId === id.binaryData)
    else if (keyId === id.stringData && object && this.holdsTextsOnly(value)) this.leaves(value, textSentinel)
    else if (keyId === id.env && object) this.#map(value, false)
    else if (keyId === id.env && tape.kind(value) === Token.Array) this.children(value, (child) => this.#variable(child))
    else if ((keyId === id.args || keyId === id.command) && tape.kind(value) === Token.Array) this.#words(value)
    else if (keyId === id.token && this.#tokens) this.leaves(value, textSentinel)
    else if (references.has(keyId)) this.#reference(value)
    else if (selectors.has(keyId)) this.#selector(value)
    else if ((keyId === id.kind || keyId === id.apiVersion) && tape.isText(value) && isIdentifier(tape.text(value))) return
    else this.#value(value, 'none')
  }

  #metadata(index: number, secret: boolean): void {
    if (this.tape.kind(index) !== Token.Object) return secret ? this.leaves(index, textSentinel) : this.#value(index, 'none')
    this.members(index, (value, _key, keyId) => {
      if (structural.has(keyId) && !this.isContainer(value)) return
      if (keyId === id.annotations) this.#annotations(value, secret)
      else if (keyId === id.managedFields) this.#managedFields(value, secret)
      else this.#member(value, keyId, secret)
    })
  }

  #annotations(index: number, secret: boolean): void {
    const tape = this.tape
    if (tape.kind(index) !== Token.Object) return secret ? this.leaves(index, textSentinel) : this.#value(index, 'none')
    this.members(index, (value, key) => {
      const name = tape.text(key)
      const mask = this.#columnMask(name)
      if (mask) return this.#byMask(value, mask, false)
      if (!tape.isText(value)) return this.#value(value, secret ? 'secret' : 'none')
      const applied = secret ? keepsApplied(name) : name.endsWith('last-applied-configuration')
      const text = tape.text(value)
      if (!applied) {
        if (secret && repeatsSecret(name, text)) return this.leaf(value, textSentinel)
        return this.#text(value, name, secret ? 'doubt' : 'none')
      }
      const inner = this.#nested(text, secret ? 'doubt' : 'none', this.#origin)
      // What was applied and can't be read may hold the values in some other form.
      if (secret ? !inner?.masked : inner === undefined && text.trim() !== '') return this.leaf(value, textSentinel)
      const masked = this.#maskedText(inner?.text ?? text, undefined, 'none', true)
      if (masked !== text) this.replace(value, masked)
    })
  }

  #managedFields(index: number, secret: boolean): void {
    if (this.isContainer(index) && this.tape.kind(index) === Token.Array)
      return this.children(index, (entry) => {
        if (this.tape.kind(entry) !== Token.Object) return this.#value(entry, secret ? 'secret' : 'none')
        this.members(entry, (value, _key, keyId) => {
          if (bookkeeping.has(keyId) && !this.isContainer(value)) return
          if (keyId === id.fields) this.#fieldKeys(value, secret)
          else this.#value(value, 'none')
        })
      })
    this.#value(index, secret ? 'secret' : 'none')
  }

  /** Keys of `fieldsV1` name fields (`f:data`, `i:0`, `.`), or hold values. */
  #fieldKeys(index: number, secret: boolean): void {
    const tape = this.tape
    if (tape.kind(index) === Token.Array) return this.children(index, (child) => this.#fieldKeys(child, secret))
    if (tape.kind(index) !== Token.Object) return secret ? this.leaf(index, textSentinel) : undefined
    this.members(index, (value, key) => {
      const text = tape.text(key)
      const prefix = text.slice(0, 2)
      if (prefix !== 'f:' && prefix !== 'i:' && text !== '.') {
        const masked = this.#masks.detectors(text).text
        if (secret) this.maskKey(key)
        else if (masked !== text) this.replace(key, masked)
      }
      this.#fieldKeys(value, secret)
    })
  }

  /** Values by key: data of a ConfigMap, variables. */
  #map(index: number, base64: boolean): void {
    const tape = this.tape
    this.members(index, (value, key) => {
      const name = tape.text(key)
      const mask = this.#columnMask(name)
      if (mask) this.#byMask(value, mask, base64)
      else if (!tape.isText(value)) this.#value(value, 'none')
      else if (base64) this.#encoded(value, name)
      else this.#text(value, name)
    })
  }

  /** `{"name":"DB_PASSWORD","value":"…"}` */
  #variable(index: number): void {
    const tape = this.tape
    if (tape.kind(index) !== Token.Object) return this.#value(index, 'none')
    const names = this.texts(index, id.name)
    let mask: ColumnMask | undefined
    for (const name of names) mask ??= this.#columnMask(name)
    this.members(index, (value, _key, keyId) => {
      if (keyId !== id.value) this.#member(value, keyId, false)
      else if (mask) this.#byMask(value, mask, false)
      else if (tape.isText(value)) this.#text(value, names[0])
      else this.#value(value, 'none')
    })
  }

  /** Arguments of a command: `--password=x`, `--password x`, `PASSWORD=x`. */
  #words(index: number): void {
    const tape = this.tape
    let pending: ColumnMask | undefined
    let pendingName: string | undefined
    this.children(index, (child) => {
      if (!tape.isText(child)) return this.#value(child, 'none')
      const mask = pending
      const flag = pendingName
      pending = undefined
      pendingName = undefined
      if (!this.#masks.hasColumnMasks && !this.#masks.hasDetectors) return this.#text(child)
      const text = tape.text(child)
      const [whole, dashes = '', name = ''] = /^(-{0,2})([A-Za-z][A-Za-z0-9_.-]{0,127})(?==|$)/.exec(text) ?? []
      const found = name === '' ? undefined : this.#columnMask(name)
      if (mask && dashes === '') this.#byMask(child, mask, false)
      else if (found && whole !== undefined && text.length > whole.length)
        this.replace(child, `${whole}=${this.#apply(found, text.slice(whole.length + 1))}`)
      else {
        if (dashes !== '') {
          pending = found
          pendingName = name
        }
        this.#text(child, dashes === '' ? flag : undefined)
      }
    })
  }

  #reference(index: number): void {
    if (this.tape.kind(index) === Token.Array) return this.children(index, (child) => this.#reference(child))
    if (this.tape.kind(index) !== Token.Object) return this.#value(index, 'none')
    this.members(index, (value, _key, keyId) => {
      if (!structural.has(keyId) || this.isContainer(value)) this.#member(value, keyId, false)
    })
  }

  /** Labels and what selects them stay: they are compared, never shown as content. Only what can be a label's value. */
  #selector(index: number): void {
    const tape = this.tape
    if (tape.kind(index) === Token.Array) return this.children(index, (child) => this.#selector(child))
    if (tape.kind(index) === Token.Object) return this.members(index, (value) => this.#selector(value))
    if (tape.isText(index) && !isLabelValue(tape.text(index))) this.#text(index)
  }

  #table(index: number, hint: Hint): void {
    const { columns } = factsOf(this.tape, index)
    this.members(index, (value, _key, keyId) => {
      if (keyId === id.rows && this.tape.kind(value) === Token.Array) this.children(value, (row) => this.#row(row, hint, columns))
      else this.#member(value, keyId, hint === 'secret')
    })
  }

  #row(index: number, hint: Hint, columns: readonly string[] | undefined): void {
    const tape = this.tape
    if (tape.kind(index) !== Token.Object) return this.#value(index, hint)
    let secret = hint !== 'none'
    this.members(index, (value, _key, keyId) => {
      if (keyId === id.object && tape.kind(value) === Token.Object)
        secret ||= this.texts(value, id.kind).some((kind) => fold(kind) === 'secret')
    })
    this.members(index, (value, _key, keyId) => {
      if (keyId === id.cells) this.#cells(value, secret, columns)
      else if (keyId === id.object) this.#value(value, hint)
      else this.#member(value, keyId, secret)
    })
  }

  #cells(index: number, secret: boolean, columns: readonly string[] | undefined): void {
    const tape = this.tape
    if (tape.kind(index) !== Token.Array) return this.#value(index, secret ? 'secret' : 'none')
    this.children(index, (cell, position) => {
      // A column of unknown name may be any: `*` is what masks by name take for that.
      const mask = this.#columnMask(columns?.[position] ?? '*', false)
      if (mask && this.tape.kind(cell) !== Token.Other) return this.#byMask(cell, mask, false)
      if (secret && tape.isText(cell) && !isSecretCell(tape.text(cell), position)) return this.leaf(cell, textSentinel)
      if (secret && this.isContainer(cell)) return this.leaves(cell, textSentinel)
      if (position > 0 || !secret) this.#value(cell, 'none')
    })
  }

  /** An error of the API server. About a Secret, it may quote what the Secret holds. */
  #status(index: number, hint: Hint): void {
    const quotes = (value: number): void => {
      const tape = this.tape
      if (tape.kind(value) === Token.Object) return this.members(value, quotes)
      if (tape.kind(value) === Token.Array) return this.children(value, quotes)
      if (!tape.isText(value)) return
      const text = tape.text(value)
      const short = hint === 'none' ? text : withoutQuotedValue(text)
      if (short === text) this.#text(value)
      else this.replace(value, this.#masks.detectors(short).text)
    }
    this.members(index, (value, _key, keyId) => {
      if (keyId === id.metadata) this.#member(value, keyId, hint !== 'none')
      else quotes(value)
    })
  }

  /** Base64 of ConfigMap.binaryData: looked into when it is text. */
  #encoded(index: number, name: string): void {
    const bytes = Buffer.from(this.tape.text(index), 'base64')
    const text = bytes.toString('utf8')
    if (!Buffer.from(text, 'utf8').equals(bytes)) return
    const masked = this.#maskedText(text, name, 'none')
    if (masked !== text) this.replace(index, Buffer.from(masked, 'utf8').toString('base64'))
  }

  /** Any string: JSON or YAML inside it, and the detectors. `name`: of the variable or key that it is the value of. */
  #text(index: number, name?: string, hint: Hint = 'none'): void {
    const tape = this.tape
    const start = tape.start(index) + 1
    const end = tape.end(index) - 1
    if (tape.kind(index) === Token.Text) {
      const first = tape.bytes[start] ?? 0
      const nests = first === 0x7b || first === 0x5b || first === 0x20
      if (
        !nests &&
        this.#planted.length === 0 &&
        (name === undefined || !this.#masks.hasDetectors) &&
        !this.#masks.mayDetect(tape.bytes, start, end)
      )
        return
    }
    const text = tape.text(index)
    const masked = this.#maskedText(text, name, hint)
    if (masked !== text) this.replace(index, masked)
  }

  /** @param read whether JSON inside it has been masked already */
  #maskedText(original: string, name: string | undefined, hint: Hint, read = false): string {
    let text = original
    if (!read && /^\s*[[{]/.test(text)) {
      const inner = this.#nested(text, hint, unknownOrigin)
      if (inner) text = inner.text
      else if (mayHoldSecret(text)) return textSentinel
    }
    if (text.includes('\n') && holdsYamlSecret(text)) return textSentinel
    if (this.#repeats(text)) return textSentinel
    if (!this.#masks.hasDetectors) return text
    const found = this.#masks.detectors(text)
    if (found.count > 0) return isTimeOrUid(original) ? original : found.text
    // What a variable is called tells what it holds: the detectors look at both together, and nothing of it stays then.
    if (name !== undefined && text.length >= 4 && text.length <= 4096 && text === original) {
      const assigned = `${name}=${text}`
      const together = this.#masks.detectors(assigned)
      if (together.count > 0 && together.text.startsWith(`${name}=`)) return redacted
    }
    return text
  }

  /** Whether a value of the Secret stands in the text, too; taken for granted when finding out would take long. */
  #repeats(text: string): boolean {
    return this.#planted.length * text.length > maxComparisons || this.#planted.some((value) => text.includes(value))
  }

  /** JSON inside a string; undefined when it isn't JSON. Too deep to be looked into: nothing of it stays. */
  #nested(text: string, hint: Hint, origin: Origin): { readonly text: string; readonly masked: boolean } | undefined {
    if (!/^\s*[[{]/.test(text)) return undefined
    if (this.nesting >= maxNesting) return { text: textSentinel, masked: true }
    try {
      const inner = new ObjectMasker(Buffer.from(text, 'utf8'), { ...this.context, origin, tokens: this.#tokens }, this.nesting + 1)
      inner.#planted = this.#planted
      inner.#value(0, hint)
      const { bytes } = inner.#result()
      return { text: bytes ? bytes.toString('utf8') : text, masked: bytes !== undefined }
    } catch (error) {
      if (!(error instanceof ResponseMaskError)) throw error
      return error.problem === 'malformed' ? undefined : { text: textSentinel, masked: true }
    }
  }

  #columnMask(name: string, path = true): ColumnMask | undefined {
    if (!this.#masks.hasColumnMasks) return undefined
    const { resource, namespace, name: object } = this.#origin
    const segment = (text: string): string => (text === '*' ? text : quoteSegment(text))
    const sources = path ? [`${segment(resource)}/${segment(namespace)}/${segment(object)}/${quoteSegment(name)}`] : []
    return this.#masks.forColumn({ name, sources, direct: true, lineageKnown: true })
  }

  #byMask(index: number, mask: ColumnMask, base64: boolean): void {
    const tape = this.tape
    if (base64 || !tape.isText(index)) this.leaves(index, base64 ? base64Sentinel : textSentinel)
    else this.replace(index, this.#apply(mask, tape.text(index)))
  }

  /** Null would be read as an empty value and could be written back unseen, so it becomes the sentinel here. */
  #apply(mask: ColumnMask, text: string): string {
    return this.#masks.applyText(mask.method, text) ?? textSentinel
  }

  #originOf(index: number): Origin {
    const { resource } = this.#entered ? unknownOrigin : this.context.origin
    let found: Origin = { ...unknownOrigin, resource }
    this.members(index, (value, _key, keyId) => {
      if (keyId !== id.metadata || this.tape.kind(value) !== Token.Object) return
      const namespace = this.texts(value, id.namespace)[0] ?? '-'
      found = { resource, namespace, name: this.texts(value, id.name)[0] ?? '*' }
    })
    return found
  }
}
