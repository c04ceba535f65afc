import { creditCard } from './credit-card.js'
import type { Detector } from './detector.js'
import { awsSecret, jwt, privateKey } from './keys.js'
import type { DetectorName } from './names.js'
import { password } from './password.js'
import { email, iban, phone, ssn } from './personal.js'
import { tokenDetectors } from './tokens.js'

/** The one list of detectors. */
export const detectors: readonly Detector[] = [creditCard, email, ssn, iban, phone, jwt, privateKey, password, awsSecret, ...tokenDetectors]

/** Detectors that a name of a mask stands for: itself, or all of its group. Unknown names stand for none. */
export function detectorsNamed(name: string): readonly Detector[] {
  return detectors.filter((detector) => detector.name === name || detector.group === name)
}

export function isDetectorName(name: string): name is DetectorName {
  return detectors.some((detector) => detector.name === name)
}
