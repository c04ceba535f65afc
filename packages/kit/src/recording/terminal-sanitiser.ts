/**
 * What a recorded command printed is under the control of whoever could write to that host: file names, log lines, a
 * whole program. Played as it is, it could fill the viewer's clipboard (OSC 52), disguise links (OSC 8), change titles,
 * make the viewer's terminal type an answer into his shell (DSR, DA, DECRQSS, title reports), or leave it in a mode that
 * reports the mouse. So only what is listed here passes; everything else is dropped, whole.
 *
 * What passes is written anew from what was understood. The terminal is therefore never in the middle of a sequence when
 * text comes, however it splits sequences itself. (ECMA-48; xterm's ctlseqs; DEC STD 070.)
 */

/**
 * Brings a terminal back from whatever the passed sequences did: main screen, no attributes, cursor shown and on the last
 * line, ASCII, the whole screen scrolls. (Not `?1049l`, which would put the cursor where nobody knows.)
 */
export const terminalReset = '\u001b[?47l\u001b[m\u001b(B\u001b)B\u000f\u001b[r\u001b[4l\u001b[?6l\u001b[?7h\u001b[?25h\u001b[999;1H'

/** Final bytes of CSI sequences without prefix or intermediate, with the most parameters that each may have. */
const allowedFinals: ReadonlyMap<string, number> = new Map([
  ...[...'ABCDEFGIZ`adeLMPSTX@b'].map((final): [string, number] => [final, 1]),
  ...[...'HfrJKg'].map((final): [string, number] => [final, final === 'J' || final === 'K' || final === 'g' ? 1 : 2]),
  // With parameters: DECSLRM, and kitty's keyboard protocol.
  ['s', 0],
  ['u', 0],
])

/** `CSI ? … h/l`: origin, wrap, blinking and visible cursor, alternate screens. No mouse, focus, paste, or keypad modes. */
const allowedModes = new Set(['6', '7', '12', '25', '47', '1047', '1048', '1049'])
/** `CSI … h/l`: insert mode. */
const allowedAnsiModes = new Set(['4'])
/** `ESC x`: save, restore, index, next line, tab stop, reverse index. */
const allowedEscapes = new Set(['7', '8', 'D', 'E', 'H', 'M'])
const maxSequence = 64
const maxParameters = 24
/** A string that never ends must not hide what comes after it: beyond this many characters its content shows as text. */
const maxString = 64 * 1024

const ESC = '\u001b'
const ST = '\u009c'
/** Controls, C1 controls, and what turns the direction of text around (Trojan Source, CVE-2021-42574). */
const special = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069\u2028\u2029]|\p{Cs}/u
const allowedControls = new Set(['\b', '\t', '\n', '\r', '\u000e', '\u000f'])

type State = 'ground' | 'escape' | 'charset' | 'ignore-one' | 'csi' | 'string' | 'string-escape'

/** Lets the harmless part of a terminal's output through. One for each stream; text may be split anywhere between characters. */
export class TerminalSanitiser {
  #state: State = 'ground'
  #sequence = ''
  /** BEL ends an OSC string, and only that. */
  #bellEnds = false
  #stringLength = 0

  /** What of the text may go to a viewer's terminal. What a sequence still misses is kept back until it is complete. */
  push(text: string): string {
    let safe = ''
    for (const char of text) safe += this.#take(char)
    return safe
  }

  #take(char: string): string {
    switch (this.#state) {
      case 'ground':
        return special.test(char) ? this.#control(char) : char
      case 'escape':
        return this.#escape(char)
      case 'charset':
        return this.#charset(char)
      case 'ignore-one':
        this.#state = 'ground'
        return startsSequence(char) ? this.#control(char) : ''
      case 'csi':
        return this.#csi(char)
      case 'string':
        return this.#string(char)
      case 'string-escape':
        // ESC \ ends the string; ESC with anything else ends it, too, and begins something new.
        return char === '\\' ? this.#ground() : this.#escape(char)
    }
  }

  #ground(): string {
    this.#state = 'ground'
    return ''
  }

  #control(char: string): string {
    this.#state = 'ground'
    if (allowedControls.has(char)) return char
    switch (char) {
      case ESC:
        this.#state = 'escape'
        return ''
      case '\u009b':
        return this.#begin('csi')
      case '\u0090':
      case '\u0098':
      case '\u009e':
      case '\u009f':
        return this.#beginString(false)
      case '\u009d':
        return this.#beginString(true)
      default:
        return ''
    }
  }

  #begin(state: State): string {
    this.#state = state
    this.#sequence = ''
    return ''
  }

  #beginString(bellEnds: boolean): string {
    this.#bellEnds = bellEnds
    this.#stringLength = 0
    return this.#begin('string')
  }

  #escape(char: string): string {
    this.#state = 'ground'
    if (allowedEscapes.has(char)) return ESC + char
    switch (char) {
      case '[':
        return this.#begin('csi')
      case ']':
        return this.#beginString(true)
      case 'P':
      case 'X':
      case '^':
      case '_':
      // A title for screen and tmux.
      case 'k':
        return this.#beginString(false)
      case '(':
      case ')':
        this.#state = 'charset'
        this.#sequence = char
        return ''
      case 'c':
        // A full reset would also empty the viewer's own history: the screen is cleared instead.
        return '\u001b[m\u001b[r\u001b[H\u001b[2J'
      default:
        if (startsSequence(char)) return this.#control(char)
        // Other intermediates (ESC # 8, ESC SP F, ESC % G, ESC * 0 …) have one character more.
        if (char >= ' ' && char <= '/') this.#state = 'ignore-one'
        return special.test(char) ? this.#control(char) : ''
    }
  }

  /** `ESC ( 0`: the line-drawing characters that full-screen programs frame their windows with, and back to ASCII. */
  #charset(char: string): string {
    this.#state = 'ground'
    if (char === '0' || char === 'B') return ESC + this.#sequence + char
    return startsSequence(char) ? this.#control(char) : ''
  }

  #csi(char: string): string {
    // CAN and SUB break a sequence off; a new one does, too.
    if (char === '\u0018' || char === '\u001a') return this.#ground()
    if (startsSequence(char)) return this.#control(char)
    // Terminals carry such a control out in mid-sequence. So does this, in front of it.
    if (allowedControls.has(char)) return char
    if (char < ' ' || char === '\u007f') return ''
    if (char >= '@' && char <= '~') {
      const sequence = this.#sequence
      this.#state = 'ground'
      return sequence.length > maxSequence ? '' : allowedCsi(sequence, char)
    }
    if (char > '~') return this.#ground()
    if (this.#sequence.length <= maxSequence) this.#sequence += char
    return ''
  }

  #string(char: string): string {
    this.#stringLength += 1
    if (char === ESC) this.#state = 'string-escape'
    else if (this.#stringLength > maxString || char === ST || char === '\u0018' || char === '\u001a' || (char === '\u0007' && this.#bellEnds)) this.#state = 'ground'
    return ''
  }
}

/** ESC and C1 controls begin something new wherever they stand. */
function startsSequence(char: string): boolean {
  return char === ESC || (char >= '\u0080' && char <= '\u009f')
}

function allowedCsi(body: string, final: string): string {
  if (final === 'm') return /^[0-9:;]*$/.test(body) && body.split(/[:;]/).length <= maxParameters && shortNumbers(body) ? `${ESC}[${body}m` : ''
  if (final === 'h' || final === 'l') {
    const prefixed = body.startsWith('?')
    const modes = (prefixed ? body.slice(1) : body).split(';').filter((mode) => (prefixed ? allowedModes : allowedAnsiModes).has(mode))
    return modes.length === 0 ? '' : `${ESC}[${prefixed ? '?' : ''}${modes.join(';')}${final}`
  }
  const most = allowedFinals.get(final)
  if (most === undefined || !/^[0-9;]*$/.test(body) || !shortNumbers(body)) return ''
  if (body !== '' && body.split(';').length > most) return ''
  // 3 J empties the viewer's history.
  if (final === 'J' && !['', '0', '1', '2'].includes(body)) return ''
  return `${ESC}[${body}${final}`
}

/** No terminal is wider; larger numbers have been used to exhaust terminals (a million times the last character). */
function shortNumbers(body: string): boolean {
  return !/\d{5}/.test(body)
}
