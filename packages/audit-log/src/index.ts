export { bundleFormat, controlDigest, statementType, verifyBundle, type BundleStatement, type BundleVerification } from './bundle.js'
export { chainOf, genesisOf, headOf, keyIdOf, sealed, sealOf, type ChainLink, type SessionHead } from './session-chain.js'
export { SessionVerifier, type BadRecord, type SessionCounts, type StoredRecord } from './session-verifier.js'
