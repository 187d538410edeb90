//! How watermarks flow: from the sources down to the inputs of steps, and, if something has to leave a step, from there
//! up to what the sources need. All of it follows from the graph and from one number per input of a step, so no
//! operator has to be asked.

use weir_plan::plan::Input;

/// The part of a plan's graph that concerns watermarks.
pub struct WatermarkFlow {
    /// The steps, each after those that it reads.
    steps: Vec<FlowStep>,
    /// Per step, in µs: how far the sources have to be beyond the watermark that the step's inputs are to reach.
    above_us: Vec<i64>,
}

/// What a step reads, and how much older (µs) than the watermark of each input a row of the step may be. A step without
/// keys holds nothing back.
pub struct FlowStep {
    pub inputs: Vec<Input>,
    pub hold_backs_us: Vec<i64>,
}

impl FlowStep {
    fn hold_back_us(&self, input: usize) -> i64 {
        self.hold_backs_us.get(input).copied().unwrap_or_default()
    }
}

impl WatermarkFlow {
    #[must_use]
    pub fn new(steps: Vec<FlowStep>) -> Self {
        let mut above_us = Vec::with_capacity(steps.len());
        // Per step, in µs: how far its output stays behind sources that all have the same watermark.
        let mut behind_us: Vec<i64> = Vec::with_capacity(steps.len());
        for step in &steps {
            let of_inputs: Vec<i64> = step
                .inputs
                .iter()
                .map(|input| match input {
                    Input::Source(_) => 0,
                    Input::Step(before) => behind_us[*before],
                })
                .collect();
            let behind =
                of_inputs.iter().enumerate().map(|(i, input_us)| input_us.saturating_add(step.hold_back_us(i)));
            behind_us.push(behind.max().unwrap_or_default());
            above_us.push(of_inputs.into_iter().max().unwrap_or_default());
        }
        Self { steps, above_us }
    }

    /// The watermark of each input of a step, by those of the sources; `None` while a source that the input waits for
    /// has none.
    #[must_use]
    pub fn inputs_us(&self, step: usize, sources_us: &[Option<i64>]) -> Vec<Option<i64>> {
        let outputs_us = self.outputs_us(step, sources_us);
        self.steps[step].inputs.iter().map(|input| mark_of(input, sources_us, &outputs_us)).collect()
    }

    /// The watermark of what a step gives: none of its rows is older.
    #[must_use]
    pub fn output_us(&self, step: usize, sources_us: &[Option<i64>]) -> Option<i64> {
        self.outputs_us(step + 1, sources_us).pop().flatten()
    }

    /// The watermarks of what the first `steps` steps give. Each is the least over the step's inputs of the input's
    /// watermark minus what holds it back.
    fn outputs_us(&self, steps: usize, sources_us: &[Option<i64>]) -> Vec<Option<i64>> {
        let mut outputs_us: Vec<Option<i64>> = Vec::with_capacity(steps);
        for step in &self.steps[..steps] {
            let held = step.inputs.iter().enumerate().map(|(i, input)| {
                let watermark_us = mark_of(input, sources_us, &outputs_us);
                watermark_us.map(|watermark_us| watermark_us.saturating_sub(step.hold_back_us(i)))
            });
            let least = held.min().flatten();
            outputs_us.push(least);
        }
        outputs_us
    }

    /// The watermark that the sources must have so that all inputs of a step are at `at_us`.
    #[must_use]
    pub fn sources_for(&self, step: usize, at_us: i64) -> i64 {
        at_us.saturating_add(self.above_us[step])
    }
}

fn mark_of(input: &Input, sources_us: &[Option<i64>], outputs_us: &[Option<i64>]) -> Option<i64> {
    match input {
        Input::Source(source) => sources_us[*source],
        Input::Step(step) => outputs_us[*step],
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::SmallRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn step(inputs: &[Input], hold_backs_us: &[i64]) -> FlowStep {
        FlowStep { inputs: inputs.to_vec(), hold_backs_us: hold_backs_us.to_vec() }
    }

    /// A left join of two sources whose right rows may come 30 later, a map, and a session window. The last step reads
    /// these, and again the rows of the second source.
    #[test]
    fn each_input_waits_for_what_its_rows_come_from_less_what_holds_them_back() {
        let (left, right) = (Input::Source(0), Input::Source(1));
        let steps = vec![
            step(&[left, right], &[0, 30]),
            step(&[Input::Step(0)], &[]),
            step(&[Input::Step(1)], &[1]),
            step(&[Input::Step(2), right], &[0, 0]),
        ];
        let flow = WatermarkFlow::new(steps);
        let inputs_us = |sources_us: [Option<i64>; 2]| [0, 1, 2, 3].map(|step| flow.inputs_us(step, &sources_us));
        let of = |inputs: &[i64]| inputs.iter().copied().map(Some).collect::<Vec<_>>();
        assert_eq!(inputs_us([Some(100), Some(200)]), [of(&[100, 200]), of(&[100]), of(&[100]), of(&[99, 200])]);
        assert_eq!(inputs_us([Some(200), Some(100)]), [of(&[200, 100]), of(&[70]), of(&[70]), of(&[69, 100])]);
        assert_eq!(inputs_us([None, Some(100)])[1..], [vec![None], vec![None], vec![None, Some(100)]]);
        assert_eq!([0, 1, 2, 3].map(|step| flow.sources_for(step, 1_000)), [1_000, 1_030, 1_030, 1_031]);
    }

    #[test]
    fn property_sources_that_are_as_far_as_is_asked_bring_each_input_there_and_no_less_would() {
        let mut rng = SmallRng::seed_from_u64(1);
        for _ in 0..500 {
            let mut steps: Vec<FlowStep> = Vec::new();
            for i in 0..rng.random_range(1..8) {
                let inputs: Vec<_> = (0..rng.random_range(1..3))
                    .map(|_| match rng.random_range(0..i + 2) {
                        n @ (0 | 1) => Input::Source(n),
                        n => Input::Step(n - 2),
                    })
                    .collect();
                let hold_backs_us = inputs.iter().map(|_| rng.random_range(0..100)).collect();
                steps.push(FlowStep {
                    inputs,
                    hold_backs_us: if rng.random_bool(0.3) { Vec::new() } else { hold_backs_us },
                });
            }
            let last = steps.len() - 1;
            let flow = WatermarkFlow::new(steps);
            let to_us = flow.sources_for(last, 500);
            let least = |sources_us: i64| flow.inputs_us(last, &[Some(sources_us); 2]).into_iter().min().flatten();
            assert_eq!((least(to_us) >= Some(500), least(to_us - 1) >= Some(500)), (true, false));
        }
    }

    /// Watermarks near the ends of time stay there.
    #[test]
    fn what_is_held_back_saturates() {
        let flow = WatermarkFlow::new(vec![step(&[Input::Source(0)], &[10]), step(&[Input::Step(0)], &[])]);
        assert_eq!(flow.inputs_us(1, &[Some(i64::MIN + 5)]), [Some(i64::MIN)]);
        assert_eq!(flow.sources_for(1, i64::MAX - 5), i64::MAX);
    }
}
