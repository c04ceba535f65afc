import { hidesOptions, type Rule } from './rule.js'

/** A subcommand that isn't here may be an alias of the host's configuration, or one that runs code (bisect run, difftool). */
const subcommands = new Set(
  `status log diff show branch tag add commit checkout switch restore reset fetch pull push clone merge rebase stash rev-parse rev-list
   ls-files ls-tree ls-remote cat-file describe remote init clean mv rm blame annotate shortlog reflog cherry-pick revert worktree apply am
   format-patch archive symbolic-ref for-each-ref update-ref version grep name-rev merge-base count-objects fsck gc hash-object show-ref
   whatchanged cherry range-diff var check-ignore diff-tree diff-index diff-files write-tree read-tree notes config submodule
   upload-pack receive-pack upload-archive`.split(/\s+/),
)

/** Options that name a program or configuration, by every abbreviation. */
const dangerous =
  'upload-pack receive-pack exec exec-path open-files-in-pager ext-diff template config config-env extcmd paginate output remote gpg-sign interactive edit strategy'.split(
    ' ',
  )

const readsConfig = new Set('--get --get-all --get-regexp --list -l --global --local --system --show-origin --show-scope --name-only -z --null get list'.split(' '))

/** git runs programs of its configuration, and its configuration can be given on the command line. */
export const git: Rule = (args) => {
  if (hidesOptions(args)) return 'git: an argument that is only known at run time may be an option that runs code'
  const words = args.map((arg) => arg.text)
  let at = 0
  for (; at < words.length && (words[at] ?? '').startsWith('-'); at++) {
    const option = words[at] ?? ''
    if (option === '-C') at++
    else if (!/^(?:--no-pager|--version|--no-optional-locks|--literal-pathspecs|--no-replace-objects|--bare|--help)$/.test(option)) return `git ${option} can run code`
  }
  const subcommand = words[at]
  if (subcommand === undefined) return undefined
  if (args[at]?.known !== true || !subcommands.has(subcommand)) return `git ${subcommand} isn't known to run nothing else`
  return inSubcommand(subcommand, words.slice(at + 1))
}

function inSubcommand(subcommand: string, words: readonly string[]): string | undefined {
  if (subcommand === 'config') {
    const known = words.every((word) => !word.startsWith('-') || readsConfig.has(word))
    return known && words.some((word) => ['--get', '--get-all', '--get-regexp', '--list', '-l', 'get', 'list'].includes(word)) ? undefined : 'git config can say what runs later'
  }
  if (subcommand === 'submodule' && words.some((word) => word === 'foreach')) return 'git submodule foreach runs a command'
  for (const word of words) {
    // ext::COMMAND is a transport that runs a command, and every NAME:: starts git-remote-NAME.
    if (/^[\w.+-]+::/.test(word)) return 'git: a transport helper'
    if (/^[a-z+]+:\/\/-|^-[^/]*:/.test(word)) return 'git: a host that ssh takes for an option'
    if (word.startsWith('--')) {
      const name = word.slice(2).split('=')[0] ?? ''
      if (name !== '' && dangerous.some((option) => option.startsWith(name))) return `git ${subcommand} ${word.split('=')[0] ?? ''} can run code`
    } else if (shortDanger(subcommand, word)) return `git ${subcommand} ${word} can run code`
  }
  return undefined
}

function shortDanger(subcommand: string, word: string): boolean {
  if (!word.startsWith('-') || word === '-') return false
  switch (subcommand) {
    case 'clone':
      return /^-[^-]*[uc]/.test(word)
    case 'rebase':
      return /^-[^-]*[xis]/.test(word)
    case 'grep':
      return /^-[^-]*O/.test(word)
    case 'merge':
    case 'pull':
      return /^-[^-]*[seS]/.test(word)
    case 'commit':
    case 'tag':
    case 'cherry-pick':
    case 'revert':
      return /^-[^-]*[Ssu]/.test(word)
    case 'archive':
      return /^-[^-]*o/.test(word)
    default:
      return false
  }
}
