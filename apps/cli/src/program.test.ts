import type { Command } from 'commander'
import { expect, test } from 'vitest'
import { examples, pathOf } from './examples.js'
import { program } from './program.js'

/** Commands that do something, visible or not. */
function leaves(command: Command): Command[] {
  return command.commands.length === 0 ? [command] : command.commands.flatMap(leaves)
}

const hidden = new Set(['kube-holds', '__complete'])

test('every command says what it does, and shows how', () => {
  const all = leaves(program())
  const missing = all.filter((command) => !hidden.has(command.name()) && ((examples[pathOf(command)] ?? []).length === 0 || command.description() === ''))
  expect(missing.map(pathOf)).toEqual([])
  expect(all.length).toBeGreaterThan(40)
  for (const command of all) {
    let help = ''
    command.configureOutput({ writeOut: (text) => (help += text) }).outputHelp()
    for (const line of examples[pathOf(command)] ?? []) expect(help).toContain(line)
  }
})

test('examples are of commands and options that there are', () => {
  for (const [path, lines] of Object.entries(examples)) {
    const words = path.split(' ')
    const command = words.reduce<Command | undefined>((found, word) => found?.commands.find((child) => child.name() === word), program())
    expect(command, path).toBeDefined()
    for (const line of lines) {
      const own = (line.split(' -- ')[0] ?? '').split(/[|<>]/)
      for (const [option] of own.filter((part) => part.includes(`sallyport ${path}`)).join(' ').matchAll(/(?<=\s)--[a-z-]+/g)) {
        expect(command?.options.map(({ long }) => long), line).toContain(option)
      }
    }
  }
})

test('every command that prints data prints it as JSON and YAML, too', () => {
  // These two write a file, and so name it.
  const files = ['sessions export', 'audit export', 'audit bundle']
  for (const command of leaves(program())) {
    const output = command.options.find(({ long }) => long === '--output')
    expect(output, pathOf(command)).toBeDefined()
    if (!files.includes(pathOf(command))) expect(output?.argChoices).toEqual(['table', 'json', 'yaml'])
  }
})
