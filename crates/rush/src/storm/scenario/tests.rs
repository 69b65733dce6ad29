use super::*;

const SMALL: &str = "name = 'x'\ntitle = 'x'\nseed = 1\nworld = { schools = 2, people = 100 }\n";

fn with(rest: &str) -> anyhow::Result<Scenario> {
    Scenario::parse(&format!("{SMALL}{rest}"))
}

#[test]
fn every_scenario_we_ship_is_sound() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../config/rush");
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        if name.ends_with(".toml") && text.contains("[[segment]]") {
            let scenario = Scenario::read(&path).unwrap();
            assert_eq!(format!("{}.toml", scenario.name), name);
            found.push(name.get(..3).unwrap().to_owned());
        }
    }
    for number in 1..=14 {
        assert!(found.contains(&format!("s{number:02}")), "S{number} is missing");
    }
}

#[test]
fn hours_of_the_tale_become_seconds() {
    let story = Story { begins: "08:55".to_owned(), minute_s: 3.0 };
    assert!((story.second("09:05").unwrap() - 30.0).abs() < 1e-9);
    assert!((story.second("08:50").unwrap() + 15.0).abs() < 1e-9);
    assert!(story.second("9h").is_err());
    assert!(story.second("25:00").is_err());
}

#[test]
fn senseless_scenarios_are_refused() {
    let segment = "[[segment]]\nname = 'a'\nseconds = 5\n";
    assert!(with(segment).is_ok());
    assert!(with("segment = []").is_err());
    assert!(with("[[segment]]\nname = 'a'\nseconds = 5\nmode = 'hope'").is_err());
    assert!(with("[[segment]]\nname = 'a'\nseconds = 5\ncrowds = ['nobody']").is_err());
    let crowd = |shape: &str| with(&format!("{segment}[[crowd]]\nname = 'c'\n{shape}"));
    assert!(crowd("rate = [[0, 1], [5, 10]]").is_ok());
    assert!(crowd("rate = [[5, 1], [0, 10]]").is_err());
    assert!(crowd("bell = { at = '09:00', sigma_min = 2 }").is_ok());
    assert!(crowd("bell = { at = '09:00', sigma_min = 0 }").is_err());
    assert!(crowd("manner = 'slow'\ncount = 5").is_ok());
    assert!(crowd("manner = 'slow_reader'\ncount = 5").is_ok());
    assert!(crowd("manner = 'drawer'\nschool = 1\ncount = 5").is_ok());
    assert!(crowd("manner = 'drawer'\nschool = 2\ncount = 5").is_err(), "there are two");
    assert!(crowd("manner = 'drawer'\ncount = 5").is_err(), "of no school");
    assert!(crowd("kind = 'lycee'\ncount = 5").is_ok());
    assert!(crowd("kind = 'primary'\ncount = 5").is_err(), "there are lycées alone");
    let fault = |text: &str| with(&format!("{segment}[[segment.fault]]\n{text}"));
    assert!(fault("at_s = 1\nact = 'kill_node'\nfor_s = 2").is_ok());
    assert!(fault("at_s = 1\nact = 'kill_node'\nfor_s = 9").is_err());
    assert!(fault("at_s = 1\nact = 'kill_postgres'\nfor_s = 1").unwrap().needs_own_postgres());
    assert!(fault("at_s = 1\nact = 'cut_redis'\nfor_s = 1").unwrap().needs_road_to_redis());
    let stepped = |text: &str| with(&format!("{segment}{text}"));
    let names: Vec<String> =
        stepped("repeat = 3").unwrap().segment.into_iter().map(|segment| segment.name).collect();
    assert_eq!(names, ["a-1", "a-2", "a-3"]);
    assert!(stepped("repeat = 0").is_err());
    assert!(stepped("step = { up_s = 1, down_s = 2 }").is_ok());
    assert!(stepped("step = { up_s = 2, down_s = 2 }").is_err());
    assert!(stepped("step = { up_s = 1, down_s = 5 }").is_err());
    let planned = |to: u32| {
        let window = format!("{{ profile = 'pupil', levels = ['6e'], from_s = 300, to_s = {to} }}");
        with(&format!("{segment}[[plan]]\nname = 'p'\nmode = 'hard'\nwindows = [{window}]\n"))
    };
    assert!(planned(900).is_ok());
    assert!(planned(200).is_err());
    let supervised = |text: &str| with(&format!("{segment}supervise = {{ {text} }}"));
    assert_eq!(supervised("most = 4").unwrap().most_nodes(), 4);
    assert!(supervised("most = 0").is_err());
    assert!(supervised("least = 5, most = 4").is_err());
    assert!(supervised("most = 4, every_s = 0.01").is_err());
}

#[test]
fn the_long_form_takes_more_segments_and_longer_ones() {
    let text = "[[segment]]\nname = 'a'\nseconds = 5\nfull_seconds = 300\n[[segment]]\nname = 'b'\nseconds = 9\nfull = true\n";
    let mut short = with(text).unwrap();
    short.choose(false);
    assert_eq!(short.segment.len(), 1);
    assert!((short.segment[0].seconds - 5.0).abs() < 1e-9);
    let mut long = with(text).unwrap();
    long.choose(true);
    assert_eq!(long.segment.len(), 2);
    assert!((long.segment[0].seconds - 300.0).abs() < 1e-9);
}

#[test]
fn a_crowd_is_of_one_role_of_several_or_of_everybody() {
    let who = |text: &str| {
        let crowd = format!("[[segment]]\nname = 'a'\nseconds = 5\n[[crowd]]\nname = 'c'\n{text}count = 1\n");
        with(&crowd).map(|scenario| scenario.crowd[0].who.clone())
    };
    let few = who("who = ['pupil', 'guardian']\n").unwrap();
    assert!(few.includes(Role::Pupil) && few.includes(Role::Guardian) && !few.includes(Role::Teacher));
    assert_eq!(who("who = 'teacher'\n").unwrap(), Who::One(Role::Teacher));
    assert_eq!(who("").unwrap(), Who::Everybody);
    assert!(who("who = 'nobody'\n").is_err());
}

#[test]
fn a_segment_s_settings_go_before_the_scenario_s() {
    let text = "[settings]\nA = '1'\nB = '1'\n[[segment]]\nname = 'a'\nseconds = 5\nsettings = { A = '2' }\n";
    let scenario = with(text).unwrap();
    let settings = scenario.settings_of(&scenario.segment[0]);
    assert_eq!((settings["A"].as_str(), settings["B"].as_str()), ("2", "1"));
}
