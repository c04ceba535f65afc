import { generateKeyPairSync, sign, type JsonWebKey } from 'node:crypto'
import { expect, test } from 'vitest'
import { checkpointText, noteOf, originOf, readNote, type Checkpoint } from './signed-note.js'

const { privateKey, publicKey } = generateKeyPairSync('ed25519')
const jwk: JsonWebKey = publicKey.export({ format: 'jwk' })
const other: JsonWebKey = generateKeyPairSync('ed25519').publicKey.export({ format: 'jwk' })
const checkpoint: Checkpoint = { origin: originOf(jwk), size: 1234n, root: Buffer.alloc(32, 7), time: '2026-01-02T03:04:05.678Z' }
const note = noteOf(checkpoint, jwk, sign(null, Buffer.from(checkpointText(checkpoint)), privateKey))

test('a note is read back by the key that signed it, also among others and beside a witness', () => {
  expect(readNote(note, [other, jwk])).toEqual(checkpoint)
  expect(readNote(`${note}— witness.example.com AAAA\n`, [jwk])).toEqual(checkpoint)
  expect(note.split('\n').slice(0, 4)).toEqual([checkpoint.origin, '1234', checkpoint.root.toString('base64'), 'time 2026-01-02T03:04:05.678Z'])
})

test('any byte changed makes it no note', () => {
  expect(readNote(note, [other])).toBeUndefined()
  for (let at = 0; at < note.length; at++) {
    const changed = note.slice(0, at) + String.fromCharCode(note.charCodeAt(at) ^ 1) + note.slice(at + 1)
    expect(readNote(changed, [jwk]), `${at} ${changed}`).toBeUndefined()
  }
})

test('a key speaks for its own log only', () => {
  const foreign = { ...checkpoint, origin: 'sallyport.dev/log/0000000000000000' }
  expect(readNote(noteOf(foreign, jwk, sign(null, Buffer.from(checkpointText(foreign)), privateKey)), [jwk])).toBeUndefined()
})
