/** What a person does at the keyboard, as far as the line editor knows it. */
export type KeyName =
  | 'enter' | 'interrupt' | 'end-of-input' | 'backspace' | 'delete' | 'left' | 'right' | 'up' | 'down' | 'home' | 'end'
  | 'erase-before' | 'erase-after' | 'erase-word' | 'clear-screen' | 'tab' | 'unknown'

export interface Key {
  readonly name: KeyName | 'text'
  /** Of `text`: one printable character. */
  readonly character: string
  /** Which paste it came in, from 1; 0 when it was typed. Terminals put marks around a paste. */
  readonly paste: number
}

/** Longer sequences than any terminal sends are swallowed to their end. */
const maxParameters = 16
/** A string of a terminal (OSC, DCS …) is an answer to a question that a program asked; nobody types one. */
const maxString = 1024

const controls: Readonly<Record<number, KeyName>> = {
  1: 'home', 2: 'left', 3: 'interrupt', 4: 'end-of-input', 5: 'end', 6: 'right', 8: 'backspace', 9: 'tab', 11: 'erase-after',
  12: 'clear-screen', 14: 'down', 16: 'up', 21: 'erase-before', 23: 'erase-word', 127: 'backspace',
}
const finals: Readonly<Record<string, KeyName>> = { A: 'up', B: 'down', C: 'right', D: 'left', H: 'home', F: 'end' }
const tildes: Readonly<Record<string, KeyName>> = { 1: 'home', 3: 'delete', 4: 'end', 7: 'home', 8: 'end' }

type State = 'ground' | 'escape' | 'csi' | 'ss3' | 'string' | 'string-escape'

/**
 * Bytes of a terminal to keys, however they are cut: UTF-8 (RFC 3629) and control sequences (ECMA-48 section 5.4).
 * What is neither a printable character nor a key that is known becomes `unknown`, never text.
 */
export class KeyReader {
  #decoder = new TextDecoder('utf-8', { ignoreBOM: true })
  #partial = false
  #state: State = 'ground'
  #parameters = ''
  #swallowed = 0
  #pastes = 0
  #pasting = false
  #afterReturn = false

  /** The paste that has begun and not ended; 0 when there is none. */
  get paste(): number {
    return this.#pasting ? this.#pastes : 0
  }

  push(bytes: Uint8Array): Key[] {
    const keys: Key[] = []
    for (const byte of bytes) this.#byte(byte, keys)
    return keys
  }

  #byte(byte: number, keys: Key[]): void {
    // Whatever state a terminal's answer or a broken paste has left: this always gets through.
    if (byte === 3) {
      this.#reset()
      keys.push(this.#key('interrupt'))
      return
    }
    switch (this.#state) {
      case 'ground':
        return this.#ground(byte, keys)
      case 'escape':
        return this.#escape(byte, keys)
      case 'csi':
        return this.#csi(byte, keys)
      case 'ss3': {
        this.#state = 'ground'
        const name = finals[String.fromCharCode(byte)]
        if (byte < 0x20 || byte > 0x7e) this.#ground(byte, keys)
        else keys.push(this.#key(name ?? 'unknown'))
        return
      }
      case 'string':
      case 'string-escape':
        return this.#string(byte)
    }
  }

  #ground(byte: number, keys: Key[]): void {
    const afterReturn = this.#afterReturn
    this.#afterReturn = false
    if (byte === 0x1b) {
      this.#cutShort(keys)
      this.#state = 'escape'
    } else if (byte >= 0x80 || (this.#partial && byte >= 0x20 && byte !== 0x7f)) this.#decode(byte, keys)
    else if (byte >= 0x20 && byte !== 0x7f) keys.push(this.#key('text', String.fromCharCode(byte)))
    else {
      this.#cutShort(keys)
      if (byte === 0x0a && afterReturn) return
      this.#afterReturn = byte === 0x0d
      if (byte === 0x0d || byte === 0x0a) keys.push(this.#key('enter'))
      else if (this.#pasting) keys.push(byte === 9 ? this.#key('text', '\t') : this.#key('unknown'))
      else keys.push(this.#key(controls[byte] ?? 'unknown'))
    }
  }

  #decode(byte: number, keys: Key[]): void {
    const text = this.#decoder.decode(Uint8Array.of(byte), { stream: true })
    this.#partial = text === '' || (this.#partial && byte >= 0x80 && text === '\ufffd')
    for (const character of text) keys.push(printable(character) ? this.#key('text', character) : this.#key('unknown'))
  }

  /** A character that ended too early. */
  #cutShort(keys: Key[]): void {
    if (!this.#partial) return
    this.#decoder = new TextDecoder('utf-8', { ignoreBOM: true })
    this.#partial = false
    keys.push(this.#key('unknown'))
  }

  #escape(byte: number, keys: Key[]): void {
    this.#state = 'ground'
    if (byte === 0x5b) {
      this.#state = 'csi'
      this.#parameters = ''
    } else if (byte === 0x4f) this.#state = 'ss3'
    // OSC, DCS, APC, PM, SOS.
    else if (byte === 0x5d || byte === 0x50 || byte === 0x5f || byte === 0x5e || byte === 0x58) {
      this.#state = 'string'
      this.#swallowed = 0
    } else if (byte < 0x20 || byte >= 0x7f) this.#ground(byte, keys)
    else keys.push(this.#key('unknown'))
  }

  #csi(byte: number, keys: Key[]): void {
    if (byte >= 0x20 && byte <= 0x3f) {
      if (this.#parameters.length < maxParameters) this.#parameters += String.fromCharCode(byte)
      return
    }
    this.#state = 'ground'
    if (byte < 0x40 || byte > 0x7e) return this.#ground(byte, keys)
    const final = String.fromCharCode(byte)
    if (final === '~' && (this.#parameters === '200' || this.#parameters === '201')) {
      if (this.#parameters === '200' && !this.#pasting) this.#pastes += 1
      this.#pasting = this.#parameters === '200'
      return
    }
    const name = final === '~' ? tildes[this.#parameters.split(';')[0] ?? ''] : finals[final]
    keys.push(this.#key(this.#pasting ? 'unknown' : (name ?? 'unknown')))
  }

  #string(byte: number): void {
    this.#swallowed += 1
    const ended = byte === 7 || byte === 0x0d || (this.#state === 'string-escape' && byte === 0x5c) || this.#swallowed > maxString
    this.#state = ended ? 'ground' : byte === 0x1b ? 'string-escape' : 'string'
  }

  #reset(): void {
    this.#decoder = new TextDecoder('utf-8', { ignoreBOM: true })
    this.#partial = false
    this.#state = 'ground'
    this.#pasting = false
    this.#afterReturn = false
  }

  #key(name: Key['name'], character = ''): Key {
    return { name, character, paste: this.paste }
  }
}

/** No controls, no formats (bidirectional overrides, zero width), nothing unassigned: who approves must see what is sent. */
function printable(character: string): boolean {
  return character !== '\ufffd' && !/[\p{C}\p{Zl}\p{Zp}]/u.test(character)
}
