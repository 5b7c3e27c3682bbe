// Writes docs/conformance.md anew: `npm run conformance`.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { readBehaviours, readClaims, renderConformance } from '../test/tools/conformance.ts'

writeFileSync(join(import.meta.dirname, '../docs/conformance.md'), renderConformance(readBehaviours(), readClaims()))
