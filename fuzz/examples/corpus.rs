//! Kept corpora to folders and back, for `scripts/fuzz`: `corpus list`, `corpus unpack TARGET FOLDER`
//! (the kept inputs and the seeds), `corpus pack TARGET FOLDER`.

use std::path::Path;

use mutt_fuzz::corpus;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["list"] => mutt_fuzz::all().for_each(|target| println!("{}", target.name)),
        ["unpack", name, folder] => unpack(name, Path::new(folder)),
        ["pack", name, folder] => pack(name, Path::new(folder)),
        _ => panic!("corpus list | unpack TARGET FOLDER | pack TARGET FOLDER"),
    }
}

fn unpack(name: &str, folder: &Path) {
    let target = mutt_fuzz::all().find(|target| target.name == name).expect("a target");
    std::fs::create_dir_all(folder).expect("the folder can be made");
    let kept = corpus::read(&corpus::folder().join(format!("{name}.txt")));
    for (kind, inputs) in [("kept", kept), ("seed", (target.seeds)())] {
        for (number, input) in inputs.iter().enumerate() {
            let file = folder.join(format!("{kind}-{number:05}"));
            std::fs::write(file, input).expect("the folder can be written");
        }
    }
}

fn pack(name: &str, folder: &Path) {
    let files = std::fs::read_dir(folder).expect("a folder").flatten();
    let mut inputs: Vec<Vec<u8>> =
        files.map(|file| std::fs::read(file.path()).expect("a file")).collect();
    // Of a corpus that is too large the longest inputs stay out.
    inputs.sort_by_key(Vec::len);
    // And of too many, some of every length stay.
    let many = inputs.len().div_ceil(corpus::inputs_max(name)).max(1);
    let mut inputs: Vec<Vec<u8>> = inputs.into_iter().step_by(many).collect();
    let mut sum = 0;
    inputs.retain(|input| {
        sum += input.len().div_ceil(3) * 4 + 1;
        sum as u64 <= corpus::KEPT_MAX
    });
    let path = corpus::folder().join(format!("{name}.txt"));
    std::fs::write(path, corpus::write(inputs)).expect("testdata/fuzz can be written");
}
