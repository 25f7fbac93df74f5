/** Gives the property tests of this run one seed, and prints it: the same seed makes the same cases again. */
export default function setUp() {
  process.env.ISLET_SEED ??= String(Math.floor(Math.random() * 0x7fff_ffff));
  console.log(`The property tests run with ISLET_SEED=${process.env.ISLET_SEED}.`);
}
