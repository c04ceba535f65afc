import type { KeyboardAuthContext } from 'ssh2'

/** OpenSSH's client takes so much of one answer and drops the rest without a word (readpass.c: a buffer of 1024 bytes). */
export const longestAnswer = 1023
/** The longest token is not to need more questions than this. */
const maxQuestions = 16

/**
 * Asks for a token by keyboard-interactive (RFC 4256). Tokens of identity providers are usually longer than one answer of
 * OpenSSH's client: where an answer is as long as it can be, the rest is asked for.
 */
export async function promptForToken(context: KeyboardAuthContext, target: string): Promise<string> {
  let token = ''
  for (let question = 1; question <= maxQuestions; question += 1) {
    const prompt = token === '' ? `Token for ${target}: ` : `Token for ${target}, from character ${token.length + 1} on (empty when that was all): `
    const answer = await ask(context, prompt, question === 1)
    token += answer
    if (answer.length !== longestAnswer) break
  }
  return token
}

function ask(context: KeyboardAuthContext, prompt: string, first: boolean): Promise<string> {
  return new Promise((resolve) => {
    const done = (answers: readonly string[]): void => resolve(answers[0] ?? '')
    if (first) context.prompt([{ prompt, echo: false }], 'Sallyport', 'Paste an identity token (OIDC), or use `sallyport exec`.', done)
    else context.prompt([{ prompt, echo: false }], done)
  })
}
