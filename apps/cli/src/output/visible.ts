/**
 * Characters that act on a terminal or deceive its reader instead of being seen: C0 and C1 controls, DEL, bidirectional
 * overrides, zero-width and tag characters, line separators, lone surrogates. Whatever comes from elsewhere (a
 * statement, a claim, a reason) may hold them to hide what a reviewer approves (attack S9, A: "bidi/terminal escapes").
 */
const deceptive =
  /[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb]|[\u{e0000}-\u{e0fff}]|\p{Cs}/gu

/** The text on one line, with every deceptive character written out: `\n`, `\x1b`, `\u{202e}`. */
export function visible(text: string): string {
  return text.replace(deceptive, written)
}

/** Like {@link visible}, but line ends and tabs stay. For statements shown as blocks. */
export function visibleBlock(text: string): string {
  return text.replaceAll('\r\n', '\n').replace(deceptive, (character) => (character === '\n' || character === '\t' ? character : written(character)))
}

/** For JSON text: the same characters as JSON's own escapes, so that the value stays what it is. */
export function visibleJson(json: string): string {
  return json.replace(deceptive, (character) => {
    if (character === '\n') return character
    let escaped = ''
    for (let index = 0; index < character.length; index += 1) escaped += '\\u' + character.charCodeAt(index).toString(16).padStart(4, '0')
    return escaped
  })
}

function written(character: string): string {
  switch (character) {
    case '\n':
      return '\\n'
    case '\r':
      return '\\r'
    case '\t':
      return '\\t'
    default: {
      const code = character.codePointAt(0) ?? 0
      return code < 0x100 ? `\\x${code.toString(16).padStart(2, '0')}` : `\\u{${code.toString(16)}}`
    }
  }
}
