import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** What takes a minute or more, whatever the size of the file: begun last, the others would wait for it. */
const LONG = [
  'core/mix',
  'stores/redis-clients',
  'stores/redis-cluster',
  'stores/sqlite-processes',
  'faults/slow',
  'faults/outage',
  'faults/killed',
  'core/mutants',
  'incumbent/races',
  'package/typescript',
  'incumbent/floods',
  'stores/dynamodb',
  'node24',
]

export class LongFilesFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const sorted = await super.sort(files)
    const place = ({ moduleId }: TestSpecification): number => {
      const at = LONG.findIndex((name) => moduleId.endsWith(`/test/${name}.test.ts`))
      return at < 0 ? LONG.length : at
    }
    return sorted.sort((left, right) => place(left) - place(right))
  }
}
