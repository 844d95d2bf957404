/** What a page goes back to: papers and documentation, each with where to find it. */
import { say } from '../../../common.ts';

interface Source {
  readonly authors: string;
  readonly title: string;
  /** Where and when. */
  readonly where: string;
  readonly link: string;
  readonly linkText: string;
}

const arxiv = (number: string) => ({ link: `https://arxiv.org/abs/${number}`, linkText: `arXiv:${number}` });
const peft = (path: string) => ({
  link: `https://huggingface.co/docs/peft/${path}`,
  linkText: `huggingface.co/docs/peft/${path}`,
});

/** Names and titles stay as they are, whatever the language. */
const SOURCES = {
  oft: {
    authors: 'Qiu, Liu, Feng, Xue, Feng, Liu, Zhang, Weller, Schölkopf',
    title: 'Controlling Text-to-Image Diffusion by Orthogonal Finetuning',
    where: 'NeurIPS 2023',
    ...arxiv('2306.07280'),
  },
  boft: {
    authors: 'Liu, Qiu, Feng, Xiu, Xue, Yu, Feng, Liu, Heo, Peng, Wen, Black, Weller, Schölkopf',
    title: 'Parameter-Efficient Orthogonal Finetuning via Butterfly Factorization',
    where: 'ICLR 2024',
    ...arxiv('2311.06243'),
  },
  fourierft: {
    authors: 'Gao, Wang, Chen, Liu, Wu, Chen, Li',
    title: 'Parameter-Efficient Fine-Tuning with Discrete Fourier Transform',
    where: 'ICML 2024',
    ...arxiv('2405.03003'),
  },
  lora: {
    authors: 'Hu, Shen, Wallis, Allen-Zhu, Li, Wang, Wang, Chen',
    title: 'LoRA: Low-Rank Adaptation of Large Language Models',
    where: 'ICLR 2022',
    ...arxiv('2106.09685'),
  },
  energy: {
    authors: 'Liu, Lin, Liu, Liu, Yu, Dai, Song',
    title: 'Learning towards Minimum Hyperspherical Energy',
    where: 'NeurIPS 2018',
    ...arxiv('1805.09298'),
  },
  peftOft: {
    authors: 'Hugging Face',
    title: 'PEFT: Orthogonal Finetuning (OFT and BOFT)',
    where: '',
    ...peft('conceptual_guides/oft'),
  },
  peftLora: {
    authors: 'Hugging Face',
    title: 'PEFT: LoRA',
    where: '',
    ...peft('package_reference/lora'),
  },
  eckart: {
    authors: 'Eckart, Young',
    title: 'The approximation of one matrix by another of lower rank',
    where: 'Psychometrika 1936',
    link: 'https://doi.org/10.1007/BF02288367',
    linkText: 'doi:10.1007/BF02288367',
  },
  peftFourier: {
    authors: 'Hugging Face',
    title: 'PEFT: FourierFT',
    where: '',
    ...peft('package_reference/fourierft'),
  },
} as const satisfies Readonly<Record<string, Source>>;

export function Sources({ of }: { readonly of: readonly (keyof typeof SOURCES)[] }) {
  return (
    <section className="lab-sources" aria-label={say`Sources`}>
      <h2>{say`Sources`}</h2>
      <ol>
        {of.map((name) => {
          const { authors, title, where, link, linkText } = SOURCES[name];
          return (
            <li key={name} lang="en">
              {authors}: <i>{title}</i>
              {where === '' ? '' : `, ${where}`}.{' '}
              <a href={link} rel="noreferrer">
                {linkText}
              </a>
            </li>
          );
        })}
      </ol>
    </section>
  );
}
