import { Edits } from './edits.js'
import { textSentinel } from './sentinel.js'
import { Tape, Token } from './tape.js'

/** Ways through a tape, and replacements of values on it. */
export class TapeEditor {
  protected readonly edits = new Edits()

  protected constructor(protected readonly tape: Tape) {}

  protected children(index: number, visit: (child: number, position: number) => void): void {
    const end = this.tape.next(index)
    for (let child = index + 1, position = 0; child < end; child = this.tape.next(child), position += 1) visit(child, position)
  }

  protected members(index: number, visit: (value: number, key: number, keyId: number) => void): void {
    const tape = this.tape
    const end = tape.next(index)
    for (let key = index + 1; key < end; key = tape.next(key + 1)) visit(key + 1, key, tape.id(key))
  }

  protected leaves(index: number, sentinel: string): void {
    const tape = this.tape
    if (tape.kind(index) === Token.Object) {
      this.members(index, (value, key) => {
        if (/^[kv]:/.test(tape.text(key))) this.maskKey(key)
        this.leaves(value, sentinel)
      })
    } else if (tape.kind(index) === Token.Array) this.children(index, (child) => this.leaves(child, sentinel))
    else this.leaf(index, sentinel)
  }

  /**
   * A key of `fieldsV1` that holds a value: `k:{"name":"x"}` of a list's entry, `v:"x"` of a set's member
   * (structured-merge-diff, fieldpath/serialize.go). Numbered, so that two of them don't become one key.
   */
  protected maskKey(key: number): void {
    const prefix = this.tape.text(key).startsWith('k:') ? 'k:' : 'v:'
    this.replace(key, prefix + JSON.stringify(`${textSentinel} ${this.edits.count + 1}`))
  }

  protected leaf(index: number, sentinel: string): void {
    if (this.tape.kind(index) !== Token.Other || this.tape.text(index) !== 'null') this.replace(index, sentinel)
  }

  protected replace(index: number, text: string): void {
    this.edits.replace(this.tape.start(index), this.tape.end(index), JSON.stringify(text))
  }

  protected isContainer(index: number): boolean {
    return this.tape.kind(index) === Token.Object || this.tape.kind(index) === Token.Array
  }

  protected holdsTextsOnly(index: number): boolean {
    let only = true
    this.members(index, (value) => (only &&= this.tape.isText(value)))
    return only
  }

  /** Texts of every member with this key: with a key twice, parsers differ in which one they take. */
  protected texts(index: number, wanted: number): string[] {
    const texts: string[] = []
    this.members(index, (value, _key, keyId) => {
      if (keyId === wanted && this.tape.isText(value)) texts.push(this.tape.text(value))
    })
    return texts
  }
}
