import { loadShell } from '@sallyport/shell'
import { beforeAll, expect, it } from 'vitest'
import { sshDescriptor } from './descriptor.js'

beforeAll(loadShell)

it.each([
  ['arguments', 'mysql -psecret --host=db', 'mysql ? ?'],
  ['assignments, pipes and lists', "TOKEN=secret curl -H 'x: secret' http://h | tee /tmp/secret && true", 'curl ? ? ?; tee ?; true'],
  ['redirections and here-documents', 'cat > /tmp/x <<E\nsecret\nE', 'cat'],
  ['what can not be told', 'eval "$(echo secret)"', '?'],
])('%s', (_name, text, shape) => {
  const shown = sshDescriptor.withoutValues?.(text)
  expect(shown).not.toContain('secret')
  if (shape === '?') expect(shown).toContain('?')
  else expect(shown).toBe(shape)
})
