export { dataKeyBytes, openPart, PartError, sealPart, type PartPlace, type Piece } from './part.js'
export { KeyError, KeyRing, type KeyEncryptionKey } from './keys/key-encryption-key.js'
export { LocalKey } from './keys/local-key.js'
export { StoreError, type PartName, type PartStore } from './stores/part-store.js'
