import type { Key } from './keys.js'
import { positionAfter, shownAs, widthOf, type Position } from './screen.js'

/** Characters of one line. */
export const maxLine = 4096
/** Characters of all lines that are remembered. */
const maxHistory = 64 * 1024
const bell = '\u0007'

/** What a key came to. Only `line` gives a line away, and it is then no longer in the editor. */
export type Edit = { readonly screen: string } & (
  | { readonly kind: 'editing' }
  | { readonly kind: 'line'; readonly text: string }
  /** Ctrl-C. */
  | { readonly kind: 'cancelled' }
  /** Ctrl-D on an empty line. */
  | { readonly kind: 'ended' }
)

/**
 * A small editor of one line at a terminal: what is typed stays here until Enter. Pure: keys in, what the terminal is to be
 * sent out.
 */
export class LineEditor {
  #columns: number
  #prompt = ''
  #characters: string[] = []
  #cursor = 0
  /** Row of the cursor below the prompt's first. */
  #row = 0
  readonly #history: string[] = []
  #recalled = 0
  #draft: string[] = []

  constructor(columns: number) {
    this.#columns = usable(columns)
  }

  /** Begins an empty line. @returns what to send to the terminal */
  begin(prompt: string): string {
    this.#prompt = prompt
    this.#set([])
    this.#recalled = this.#history.length
    this.#row = 0
    return this.#redraw()
  }

  resize(columns: number): void {
    this.#columns = usable(columns)
  }

  press(key: Key): Edit {
    switch (key.name) {
      case 'text':
        return editing(this.#insert(key.character))
      case 'enter':
        return this.#submit()
      case 'interrupt': {
        const screen = `${this.#toEnd()}^C\r\n`
        this.#set([])
        return { kind: 'cancelled', screen }
      }
      case 'end-of-input':
        return this.#characters.length === 0 ? { kind: 'ended', screen: '\r\n' } : editing(this.#remove(this.#cursor, this.#cursor + 1))
      case 'backspace':
        return editing(this.#remove(this.#cursor - 1, this.#cursor))
      case 'delete':
        return editing(this.#remove(this.#cursor, this.#cursor + 1))
      case 'erase-before':
        return editing(this.#remove(0, this.#cursor))
      case 'erase-after':
        return editing(this.#remove(this.#cursor, this.#characters.length))
      case 'erase-word':
        return editing(this.#remove(this.#wordBefore(), this.#cursor))
      case 'left':
        return editing(this.#move(this.#cursor - 1))
      case 'right':
        return editing(this.#move(this.#cursor + 1))
      case 'home':
        return editing(this.#move(0))
      case 'end':
        return editing(this.#move(this.#characters.length))
      case 'up':
        return editing(this.#recall(this.#recalled - 1))
      case 'down':
        return editing(this.#recall(this.#recalled + 1))
      case 'clear-screen':
        this.#row = 0
        return editing(`\u001b[H\u001b[2J${this.#redraw()}`)
      case 'tab':
      case 'unknown':
        return editing(bell)
    }
  }

  #submit(): Edit {
    const text = this.#characters.join('')
    const screen = `${this.#toEnd()}\r\n`
    if (text.trim() !== '' && this.#history.at(-1) !== text) this.#history.push(text)
    while (this.#history.reduce((sum, line) => sum + line.length, 0) > maxHistory) this.#history.shift()
    this.#set([])
    return { kind: 'line', text, screen }
  }

  #insert(character: string): string {
    if (this.#characters.length >= maxLine) return bell
    const atEnd = this.#cursor === this.#characters.length
    this.#characters.splice(this.#cursor, 0, character)
    this.#cursor += 1
    const width = widthOf(character)
    const { row, column } = this.#at(this.#cursor)
    // At the end of a line, and not at the edge of the screen: nothing but the character.
    if (atEnd && row === this.#row && column >= width && width > 0) return shownAs(character)
    return this.#redraw()
  }

  #remove(from: number, to: number): string {
    const first = Math.max(0, from)
    const last = Math.min(this.#characters.length, to)
    if (first >= last) return bell
    this.#characters.splice(first, last - first)
    this.#cursor = first
    return this.#redraw()
  }

  #move(to: number): string {
    if (to < 0 || to > this.#characters.length) return bell
    this.#cursor = to
    return this.#redraw()
  }

  #recall(entry: number): string {
    if (entry < 0 || entry > this.#history.length) return bell
    if (this.#recalled === this.#history.length) this.#draft = this.#characters
    this.#recalled = entry
    this.#set(entry === this.#history.length ? this.#draft : [...(this.#history[entry] ?? '')])
    return this.#redraw()
  }

  #set(characters: string[]): void {
    this.#characters = characters
    this.#cursor = characters.length
  }

  #wordBefore(): number {
    let at = this.#cursor
    while (at > 0 && this.#characters[at - 1] === ' ') at -= 1
    while (at > 0 && this.#characters[at - 1] !== ' ') at -= 1
    return at
  }

  #toEnd(): string {
    if (this.#cursor === this.#characters.length) return ''
    this.#cursor = this.#characters.length
    return this.#redraw()
  }

  #at(count: number): Position {
    return positionAfter(this.#characters.slice(0, count), this.#columns, positionAfter(this.#prompt, this.#columns))
  }

  /** From the prompt's beginning: clears, writes all, puts the cursor in its place. */
  #redraw(): string {
    const end = this.#at(this.#characters.length)
    const cursor = this.#at(this.#cursor)
    const up = this.#row > 0 ? `\u001b[${this.#row}A` : ''
    // A terminal moves to the next row only with the next character; here it is moved, so that rows count alike.
    const wrapped = end.column === 0 && end.row > 0 ? '\r\n' : ''
    const back = end.row > cursor.row ? `\u001b[${end.row - cursor.row}A` : ''
    const right = cursor.column > 0 ? `\u001b[${cursor.column}C` : ''
    this.#row = cursor.row
    const atEnd = this.#cursor === this.#characters.length
    return `\r${up}\u001b[J${this.#prompt}${this.#characters.map(shownAs).join('')}${wrapped}${atEnd ? '' : `${back}\r${right}`}`
  }
}

function editing(screen: string): Edit {
  return { kind: 'editing', screen }
}

/** A client without a window says 0. */
function usable(columns: number): number {
  return columns >= 8 && columns <= 10_000 ? columns : 80
}
