import { createApi } from '@sallyport/api-client'
import { Argument, type Command } from 'commander'
import { sourceOf } from '../completion/names.js'
import { scripts, shells, type Shell } from '../completion/scripts.js'
import { wantedFor, type Candidate, type Wanted } from '../completion/wanted.js'
import { readConnection } from '../config.js'
import { fetchWith } from '../http/wire.js'
import { visible } from '../output/visible.js'

/** A person waits at the prompt. */
const timeoutMilliseconds = 1000

export function registerCompletion(program: Command): void {
  program.command('completion')
    .description('print what makes a shell complete the words of this program, and names from the control plane')
    .addArgument(new Argument('<shell>').choices(shells))
    .action((shell: Shell) => void process.stdout.write(scripts[shell]))

  program.command('__complete', { hidden: true })
    .description('what could stand where the cursor is; asked by the scripts of `completion`')
    .argument('[word...]')
    .action(async (words: string[]) => {
      // bash takes `--state=live` for three words.
      const line = words.filter((word, index) => word !== '=' || index === words.length - 1).map((word) => (word === '=' ? '' : word))
      for (const { value, text } of await candidates(wantedFor(program, line), line)) process.stdout.write(`${value}\t${visible(text)}\n`)
    })
}

async function candidates(wanted: Wanted, words: readonly string[]): Promise<readonly Candidate[]> {
  if (wanted.of === 'nothing') return []
  const typed = words.at(-1) ?? ''
  const found = wanted.of === 'words' ? wanted.candidates : await names(wanted, words)
  // A name goes into the line that the shell will run: what it might read as more than a name is left out, whoever made it.
  return found.filter(({ value }) => value.startsWith(typed) && /^[\w.@:/+=-]+$/.test(value))
}

/** Never an error: a prompt is no place for one. */
async function names({ command, name, prefix }: Wanted & { of: 'names' }, words: readonly string[]): Promise<Candidate[]> {
  const source = sourceOf(command, name)
  if (!source) return []
  try {
    const { url, token, ca } = readConnection(globals(words), process.env)
    const api = createApi({ baseUrl: url.origin + url.pathname.replace(/\/$/, ''), token, fetch: fetchWith(ca), timeoutMilliseconds, retries: 0 })
    return (await source(api)).map(({ value, text }) => ({ value: prefix + value, text }))
  } catch {
    return []
  }
}

/** Where the line itself says to ask. */
function globals(words: readonly string[]): { url?: string; apiTokenFile?: string } {
  const value = (name: string): string | undefined => words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1) ?? words[words.indexOf(name) + 1 || words.length]
  const [url, apiTokenFile] = [value('--url'), value('--api-token-file')]
  return { ...(url === undefined ? {} : { url }), ...(apiTokenFile === undefined ? {} : { apiTokenFile }) }
}
